
// What an operator may do to one repository.

const ACTIONS = [
  {
    name: "retry",
    label: "Retry",
    fits: (row) => row.migration_state === "import_aborted",
    text: "It is started at once, without waiting for its turn. It needs a free slot.",
  },
  {
    name: "cancel",
    label: "Cancel",
    danger: true,
    fits: (row) => IN_PROGRESS.includes(row.migration_state),
    text: "The registry is asked to stop the step that runs. The repository is skipped until somebody reopens it.",
    fields: [{ name: "force", type: "check", label: "skip it even if the registry knows of no import" }],
    body: ({ force }) => ({ force }),
  },
  {
    name: "skip",
    label: "Skip",
    danger: true,
    fits: (row) => !["import_done", "import_skipped"].includes(row.migration_state),
    text: "It is taken out of the migration until somebody reopens it.",
    fields: [{ name: "reason", label: "Reason", options: SKIP_REASONS.map((reason) => [reason, words(reason)]), required: true }],
    body: ({ reason }) => ({ reason }),
  },
  {
    name: "reopen",
    label: "Reopen",
    fits: (row) => ["import_skipped", "import_aborted", "import_done"].includes(row.migration_state),
    text: "It begins anew, as if it had just been registered. Its history is kept. What is done needs a reason.",
    fields: [{ name: "reason", label: "Reason", placeholder: "kept in the history" }],
    body: ({ reason }) => (reason ? { reason } : {}),
  },
  {
    name: "accept",
    label: "Accept its tags",
    fits: (row) => ["tags_missing", "tags_unverified"].includes(row.tags_check ?? row.trouble),
    text: "Somebody has looked, and all is as it should be. The reason is kept in the history.",
    fields: [{ name: "reason", label: "Reason", required: true }],
    body: ({ reason }) => ({ reason }),
  },
];

/** Asks, acts, and remembers the version of the answer: whatever is shown next is at least as new. */
async function act(action, row) {
  const done = await confirmAct({
    title: `${action.label} ${row.path}?`,
    text: action.text,
    fields: action.fields,
    yes: action.label,
    danger: action.danger,
    act: async (values) => {
      const body = action.body ? action.body(values) : undefined;
      try {
        const answer = await ask("POST", `migrations/${action.name}/${encodePath(row.path)}`, { body });
        remember(answer);
        return answer;
      } catch (refusal) {
        // Also a refusal says how the row stands now.
        if (refusal.problem?.version) remember({ ...row, version: refusal.problem.version, migration_state: refusal.problem.migration_state ?? row.migration_state });
        throw refusal;
      }
    },
  });
  if (done) announce(`${action.label}: ${row.path} is now ${STATE_NAMES.get(done.migration_state) ?? done.migration_state}.`);
  changed();
  return done;
}

const actionButtons = (row) =>
  ACTIONS.filter((action) => action.fits(row)).map((action) =>
    element("button", { type: "button", onclick: () => act(action, row) }, `${action.label} …`));
