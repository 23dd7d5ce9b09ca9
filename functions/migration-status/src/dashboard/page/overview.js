
// How the whole stands: four numbers, the states, the throughput, and who says so.

const SERVED_BY = {
  reader: "the reader",
  writer: "the writer",
  writer_behind_floor: "the writer, since the reader has not seen your last change",
  writer_reader_lagging: "the writer, since the reader lags past its bound",
  writer_reader_failed: "the writer, since the reader cannot serve",
  writer_reader_off: "the writer, since operators took the reader out",
};

const HELD_BY = {
  breaker_open: "The circuit breaker is open: too many repositories failed in a row.",
  registry_stopped: "The registry is stopping.",
  registry_full: "The registry has no room for another import.",
};

function card(name) {
  const figure = element("dd", { className: "figure" });
  const more = element("dd", { className: "more" });
  const whole = element("div", {}, element("dt", {}, name), figure, more);
  byId("numbers").append(whole);
  return { whole, figure, more };
}

const CARDS = {
  left: card("Repositories left"),
  rate: card("Rate"),
  time: card("Time left"),
  failures: card("Failures"),
};

const total = (summary) => Object.values(summary.states).reduce((sum, state) => sum + state.count, 0);

function sizeLeft() {
  const { progress, prefixes } = board;
  if (progress?.importer) {
    const { bytes_known: known, bytes_done: done } = progress.importer;
    return `${bytes(known - done)} of the ${bytes(known)} that the importer has listed so far are left`;
  }
  const root = prefixes?.root;
  if (!root) return "";
  const tags = root.items.reduce((sum, item) => sum + item.tags_left, 0);
  const unknown = root.items.reduce((sum, item) => sum + item.tags_unknown, 0);
  const least = root.more ? "at least " : "";
  const but = unknown > 0 ? `, without ${counted(unknown, "repository", "repositories")} of unknown size` : "";
  return `${least}${counted(tags, "tag", "tags")} left${but}; bytes are known only where the driver's importer copies`;
}

function drawNumbers(summary) {
  const all = total(summary);
  const done = summary.states.import_done.count;
  say(CARDS.left.figure, count(summary.left));
  say(CARDS.left.more, [
    `of ${count(all)}; ${all > 0 ? Math.floor((100 * done) / all) : 0} % done`, sizeLeft(),
  ].filter(Boolean).join(". "));

  const perHour = summary.seconds_left > 0 ? (3600 * summary.left) / summary.seconds_left : summary.ended_in_the_last_hour;
  say(CARDS.rate.figure, perHour >= 120 ? `${NUMBERS.format(Math.round(perHour / 6) / 10)} per minute` : `${count(Math.round(perHour))} per hour`);
  say(CARDS.rate.more, `${count(summary.ended_in_the_last_hour)} ended in the last hour, ${
    counted(summary.transitions_per_minute, "change", "changes")} in the last minute`);

  const known = summary.seconds_left !== null;
  say(CARDS.time.figure, summary.left === 0 ? "done" : known ? duration(summary.seconds_left) : "unknown");
  say(CARDS.time.more, summary.left === 0 ? "nothing is left"
    : !summary.enabled ? "migrations are switched off"
    : known ? `at the pace of the last hour: ${time(Date.now() + 1000 * summary.seconds_left)}`
    : "nothing has ended in the last hour");
}

function drawFailures() {
  const { groups, rows, more } = board.attention ?? {};
  if (!groups) return;
  const failures = groups.filter((group) => !group.meant);
  const number = failures.reduce((sum, group) => sum + group.rows.length, 0);
  const meant = rows.length - number;
  say(CARDS.failures.figure, `${more ? "over " : ""}${count(number)}`);
  CARDS.failures.whole.classList.toggle("bad", number > 0);
  const causes = failures.slice(0, 3).map((group) => `${count(group.rows.length)} × ${group.cause}`);
  if (failures.length > 3) causes.push(`and ${counted(failures.length - 3, "other cause", "other causes")}`);
  if (meant > 0) causes.push(`besides, ${count(meant)} skipped on purpose`);
  say(CARDS.failures.more, causes.join("; ") || "none");
}

function drawStates(summary) {
  const states = Object.fromEntries(STATES.map(([state]) => [state, summary.states[state]?.count ?? 0]));
  drawBar(byId("bar"), states, total(summary));
  keyed(byId("legend"), STATES, ([state]) => state,
    ([state, label]) => element("li", {}, element("button", {
      type: "button", className: "link", title: `Show what is ${state}`, onclick: () => showState(state),
    }, swatch(state), element("span", {}, label), element("strong", {}))),
    (item, [state]) => say(item.querySelector("strong"), count(states[state])));
}

function notes(summary) {
  const { slots, brake, stuck, tags } = summary;
  const found = [["slots", `${count(slots.used)} of ${counted(slots.capacity, "slot", "slots")} in use`]];
  const lag = board.progress?.newest_change_at
    ? Math.max(0, secondsSince(board.progress.newest_change_at, Date.parse(board.progress.at))) : null;
  found.push(["served", `served by ${SERVED_BY[summary.served_by] ?? summary.served_by}`]);
  if (summary.served_by === "reader" && lag !== null) {
    found.push(["lag", `the reader is ${lag < 1 ? "less than 1 s" : `at most ${duration(lag)}`} behind the writer`]);
  }
  if (brake.held_by) found.push(["brake", `Starts are held back. ${HELD_BY[brake.held_by] ?? words(brake.held_by)}`, "warn"]);
  if (stuck.count > 0) found.push(["stuck", `${count(stuck.count)} stuck, the longest for ${duration(stuck.oldest_seconds)}`, "warn"]);
  if (tags.missing > 0) found.push(["tags", `${counted(tags.missing, "repository has", "repositories have")} lost tags`, "warn"]);
  found.push(...holdNotes(summary));
  return found;
}

function drawNotes(summary) {
  keyed(byId("notes"), notes(summary), ([key]) => key, () => element("li", {}), (node, [, text, kind]) => {
    node.className = kind ?? "";
    say(node, text);
  });
}

function drawPlot(progress) {
  const parts = 60;
  const width = progress.part_seconds * 1000;
  const last = Math.floor(Date.parse(progress.at) / width) * width;
  const first = last - (parts - 1) * width;
  const found = new Map(progress.parts.map((part) => [Date.parse(part.at), part]));
  const most = Math.max(1, ...progress.parts.map((part) => part.done + part.skipped + part.aborted));
  const bars = [];
  for (let index = 0; index < parts; index += 1) {
    const part = found.get(first + index * width);
    let y = 120;
    for (const [kind, state] of [["done", "import_done"], ["skipped", "import_skipped"], ["aborted", "import_aborted"]]) {
      const height = part ? (112 * part[kind]) / most : 0;
      y -= height;
      if (height > 0) bars.push({ key: `${index} ${kind}`, x: index * 10 + 1, y, height, state });
    }
  }
  keyed(byId("plot"), bars, (bar) => bar.key, (bar) => shape("rect", { class: `f-${bar.state}`, width: 8 }), (node, bar) => {
    for (const name of ["x", "y", "height"]) node.setAttribute(name, bar[name]);
  });
  const sum = (kind) => progress.parts.reduce((all, part) => all + part[kind], 0);
  const length = duration(progress.part_seconds);
  say(byId("plot-from"), time(Math.max(first, Date.parse(progress.since))));
  say(byId("plot-most"), `highest: ${count(most)} in ${length}`);
  const cut = Date.parse(progress.since) - first > 2 * width ? ` Counted since ${time(progress.since)}: the history before is too long.` : "";
  say(byId("plot-text"), `${count(sum("done"))} done, ${count(sum("skipped"))} skipped, ${count(sum("aborted"))} failed and tried again. A bar is ${length}.${cut}`);
}

function drawSource(summary) {
  byId("source").hidden = false;
  say(byId("source"), `as of ${CLOCK.format(new Date(summary.at))}, from ${SERVED_BY[summary.served_by] ?? summary.served_by}`);
}
