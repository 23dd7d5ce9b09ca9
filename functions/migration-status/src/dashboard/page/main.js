
// The page begins.

function begin() {
  show(board.summary ? "board" : "loading");
  for (const task of TASKS) Object.assign(task, { last: -Infinity, lastStamp: undefined });
  drawCrumbs();
  refresh();
  openFromAddress();
}

/** An address with a repository behind the # opens it. */
function openFromAddress() {
  const path = decodeURIComponent(location.hash.slice(1));
  if (signedIn() && path.length > 0 && path !== "Content" && path !== opened.path) openRepository(path);
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  // A header holds these only.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    say(byId("sign-in-error"), "This is no token: it has characters that no header can hold.");
    return;
  }
  kept.set("token", token);
  begin();
});
byId("sign-out").addEventListener("click", () => signOut());
byId("operator").value = kept.get("operator");
byId("operator").addEventListener("change", (event) => kept.set("operator", event.target.value.trim()));
addEventListener("hashchange", openFromAddress);

if (signedIn()) begin();
else signOut();
