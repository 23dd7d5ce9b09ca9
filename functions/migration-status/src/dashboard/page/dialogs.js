
// A question before anything is changed.

const question = byId("question");
let answerQuestion = null;

function field({ name, label, type, options, required, value, placeholder }) {
  const id = `question-${name}`;
  if (type === "check") {
    return element("div", { className: "field check" },
      element("label", { htmlFor: id }, element("input", { id, type: "checkbox", checked: value ?? false }), label));
  }
  const input = options
    ? element("select", { id, required }, options.map(([of, text]) => element("option", { value: of }, text)))
    : element("input", { id, type: type ?? "text", required, maxLength: 255, placeholder: placeholder ?? "", spellcheck: false, value: value ?? "" });
  return element("div", { className: "field" }, element("label", { htmlFor: id }, label), input);
}

/**
 * Asks whether something is to be done, and does it while the question stays open: a refusal is shown in it. Answers
 * with what `act` answered, or with undefined.
 */
function confirmAct({ title, text, fields = [], yes, danger = false, act }) {
  say(byId("question-title"), title);
  say(byId("question-text"), text);
  say(byId("question-error"), "");
  byId("question-fields").replaceChildren(...fields.map(field));
  const button = byId("question-yes");
  say(button, yes);
  button.className = danger ? "danger" : "primary";
  button.disabled = false;
  question.showModal();
  return new Promise((resolve) => {
    answerQuestion = async (go) => {
      if (!go) {
        answerQuestion = null;
        question.close();
        resolve(undefined);
        return;
      }
      const values = Object.fromEntries(fields.map(({ name, type }) => {
        const input = byId(`question-${name}`);
        return [name, type === "check" ? input.checked : input.value.trim()];
      }));
      button.disabled = true;
      say(byId("question-error"), "");
      try {
        const result = await act(values);
        answerQuestion = null;
        question.close();
        resolve(result ?? true);
      } catch (error) {
        if (!(error instanceof Refusal)) console.error(error);
        say(byId("question-error"), error.message);
        button.disabled = false;
      }
    };
  });
}

byId("question-form").addEventListener("submit", (event) => {
  event.preventDefault();
  answerQuestion?.(true);
});
byId("question-no").addEventListener("click", () => answerQuestion?.(false));
question.addEventListener("cancel", (event) => {
  event.preventDefault();
  answerQuestion?.(false);
});

/** Says to everybody, also to whoever only listens, what was done. */
function announce(text) {
  byId("spoken").textContent = text;
}
