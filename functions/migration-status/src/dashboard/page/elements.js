
// Elements of the document, made and changed without any text being read as markup.

const byId = (id) => document.getElementById(id);
const SVG = byId("bar").namespaceURI;

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && !(node instanceof SVGElement)) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element: its properties (or attributes), and what is in it. */
const element = (name, properties, ...children) => fill(document.createElement(name), properties, children);

const shape = (name, properties, ...children) => fill(document.createElementNS(SVG, name), properties, children);

/** Changes a text only where it differs: what is spoken is not said twice. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Rows that stay the same elements while their items do, so that the focus stays where it is. */
function keyed(container, items, key, create, update) {
  const known = container.keyedRows ?? new Map();
  const next = new Map();
  let place = container.firstChild;
  for (const item of items) {
    const name = key(item);
    const node = known.get(name) ?? create(item);
    known.delete(name);
    next.set(name, node);
    update?.(node, item);
    if (node === place) place = place.nextSibling;
    else container.insertBefore(node, place);
  }
  for (const node of known.values()) node.remove();
  container.keyedRows = next;
}

const swatch = (state) => element("span", { className: `swatch f-${state}`, ariaHidden: "true" });

const stateLabel = (state) =>
  element("span", { className: "state", title: state }, swatch(state), STATE_NAMES.get(state) ?? state);

/** A bar of the states' shares. */
function drawBar(bar, states, total) {
  let x = 0;
  const parts = STATES.map(([state]) => ({ state, share: total > 0 ? (1000 * (states[state] ?? 0)) / total : 0 }));
  keyed(bar, parts, (part) => part.state, (part) => shape("rect", { class: `f-${part.state}`, y: 0, height: 12 }),
    (node, part) => {
      node.setAttribute("x", x.toFixed(2));
      node.setAttribute("width", part.share.toFixed(2));
      x += part.share;
    });
}

const facts = (pairs) =>
  element("dl", { className: "facts" }, pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
