
// What this tab has seen of each repository. The reader may lag: nothing older than that is shown again.

const seen = new Map();

/** Remembers a row that an answer had, unless a newer one is known. */
function remember(row) {
  const known = seen.get(row.path);
  if (!known || known.version < row.version) seen.set(row.path, row);
}

/** The newest of what is known of a row. */
function newest(row) {
  const known = seen.get(row.path);
  return known && known.version > row.version ? { ...row, ...known } : row;
}

/** What is sent as `min_version`. */
const seenVersion = (path) => seen.get(path)?.version;
