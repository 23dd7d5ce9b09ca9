
// The kill switch, as the writer has it.

async function refreshSettings(signal) {
  const settings = await get("settings", {}, signal);
  // An answer that was under way when somebody changed them here is older than what is known.
  if (!board.settings || board.settings.version <= settings.version) board.settings = settings;
  drawSwitch();
}

function drawSwitch() {
  const { settings } = board;
  if (!settings) return;
  byId("switch").hidden = false;
  const state = byId("switch-state");
  state.className = `pill ${settings.enabled ? "on" : "off"}`;
  say(state, settings.enabled ? "Migrations are on" : "Migrations are off");
  say(byId("switch-button"), settings.enabled ? "Switch off …" : "Switch on …");
}

byId("switch-button").addEventListener("click", async () => {
  const { enabled, version } = board.settings;
  const done = await confirmAct({
    title: enabled ? "Switch migrations off?" : "Switch migrations on?",
    text: enabled
      ? "No repository is started, and none goes on from the pre-import to the final step. What runs now goes on."
      : "Repositories that are due are started while slots are free, and those that wait for the final step go on.",
    yes: enabled ? "Switch off" : "Switch on",
    danger: enabled,
    act: async () => {
      try {
        board.settings = await ask("PATCH", "settings", { body: { enabled: !enabled, version } });
      } catch (refusal) {
        if (refusal.kind === "settings-changed") await refreshSettings();
        throw refusal;
      }
      return board.settings;
    },
  });
  if (done) announce(done.enabled ? "Migrations are on." : "Migrations are off.");
  drawSwitch();
  changed();
});
