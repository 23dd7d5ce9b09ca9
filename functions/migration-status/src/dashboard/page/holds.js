
// Final steps that wait: until an operator releases them, or for a window of time.

const prefixName = (prefix) => (prefix === "" ? "every repository" : `${prefix}/`);

async function refreshHolds(signal) {
  board.holds = (await get("holds", {}, signal)).holds;
  drawHolds();
}

function holdText(hold) {
  const { window } = hold;
  return [
    hold.until_released ? "held until somebody releases it" : "",
    window ? `final steps only from ${window.from} to ${window.until} (${window.zone})` : "",
    hold.priority ? `priority ${hold.priority}` : "",
  ].filter(Boolean).join("; ");
}

function holdNow(hold) {
  const then = hold.changes_at ? ` until ${time(hold.changes_at)}` : "";
  return [
    hold.holding ? `holds now${then}` : `holds nothing now${then}`,
    hold.held > 0 ? `${counted(hold.held, "repository waits", "repositories wait")}` : "",
    hold.left_over > 0 ? `${count(hold.left_over)} left over: released in the last window, and not reached before it ended` : "",
  ].filter(Boolean).join("; ");
}

function holdRow(hold) {
  const text = element("span", {});
  const now = element("span", { className: "quiet" });
  const who = element("span", { className: "quiet" });
  const buttons = element("span", { className: "buttons" },
    element("button", { type: "button", ariaLabel: `Change the hold of ${prefixName(hold.prefix)}`, onclick: () => setHold(hold.prefix) }, "Change …"),
    element("button", { type: "button", ariaLabel: `Release ${prefixName(hold.prefix)}`, onclick: () => release(hold.prefix) }, "Release …"));
  const row = element("li", {}, element("strong", {}, prefixName(hold.prefix)), text, now, who, buttons);
  row.parts = { text, now, who };
  return row;
}

function drawHolds() {
  if (!board.holds) return;
  byId("holds-section").hidden = false;
  for (const cell of document.querySelectorAll(".hold-column")) cell.hidden = false;
  keyed(byId("holds"), board.holds, (hold) => hold.prefix, holdRow, (row, hold) => {
    say(row.parts.text, holdText(hold));
    say(row.parts.now, holdNow(hold));
    row.parts.now.className = hold.left_over > 0 ? "bad" : "quiet";
    say(row.parts.who, [hold.reason, hold.operator].filter(Boolean).join(" · "));
  });
  byId("holds-none").hidden = board.holds.length > 0;
  drawPrefixes();
}

const holdOf = (prefix) => board.holds?.find((hold) => hold.prefix === prefix.replace(/\/$/, ""));

function holdNotes(summary) {
  const { held } = summary;
  if (!held) return [];
  const found = [];
  if (held.count > 0) {
    found.push(["held", `${counted(held.count, "final step waits", "final steps wait")} for a release or a window`
      + (held.released > 0 ? `, ${count(held.released)} of them released` : "")]);
  }
  if (held.left_over > 0) {
    found.push(["left-over", `The window ended with ${counted(held.left_over, "released repository", "released repositories")} left.`, "warn"]);
  }
  return found;
}

function drawHoldCell(cell, prefix) {
  cell.hidden = !board.holds;
  if (!board.holds) return;
  const hold = holdOf(prefix);
  const label = hold ? (hold.holding ? "held …" : "open …") : "Hold …";
  if (cell.firstChild?.textContent === label) return;
  cell.replaceChildren(element("button", { type: "button", ariaLabel: `${label} ${prefix}`, onclick: () => setHold(prefix) }, label));
}

const holdButtons = (row) => (board.holds && !["import_done", "import_skipped"].includes(row.migration_state)
  ? [element("button", { type: "button", onclick: () => setHold(row.path) }, "Hold its final step …")] : []);

async function setHold(given) {
  const prefix = given.replace(/\/$/, "");
  const hold = holdOf(prefix);
  const done = await confirmAct({
    title: hold ? `Change the hold of ${prefixName(prefix)}?` : "Hold final steps?",
    text: "Pre-imports go on. A repository whose final step is held gives its slot back and waits. What runs is left alone.",
    fields: [
      { name: "prefix", label: "Prefix, in whole parts of a path; empty: every repository", value: prefix },
      { name: "until", label: "hold until somebody releases it", type: "check", value: hold ? hold.until_released : true },
      { name: "from", label: "Or only outside of a window. It opens at (HH:MM)", value: hold?.window?.from, placeholder: "22:00" },
      { name: "to", label: "It closes at (HH:MM)", value: hold?.window?.until, placeholder: "04:00" },
      { name: "zone", label: "Time zone of the window", value: hold?.window?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone },
      { name: "priority", label: "Priority (1 to 1000, or none)", value: hold?.priority },
      { name: "reason", label: "Reason", value: hold?.reason, placeholder: "shown beside the hold" },
    ],
    yes: "Hold",
    act: async (values) => {
      const window = values.from || values.to ? { from: values.from, until: values.to, zone: values.zone } : null;
      const body = {
        prefix: values.prefix, until_released: values.until, window,
        priority: values.priority ? Number(values.priority) : null, reason: values.reason || null,
      };
      return (await ask("PUT", "holds", { body })).hold;
    },
  });
  if (done) announce(`${prefixName(done.prefix)}: ${holdText(done)}.`);
  changed();
}

async function release(prefix) {
  const hold = holdOf(prefix);
  const done = await confirmAct({
    title: `Release ${prefixName(prefix)}?`,
    text: `The hold is removed${hold?.priority ? ", and its priority with it" : ""}. ${counted(hold?.held ?? 0, "repository goes", "repositories go")} on as slots become free.`,
    yes: "Release",
    act: () => ask("DELETE", `holds?prefix=${encodeURIComponent(prefix)}`),
  });
  if (done) announce(`${prefixName(prefix)} is released.`);
  changed();
}

byId("holds-add").addEventListener("click", () => setHold(board.prefixes.prefix));
