// Nodes. Whatever isn't a node becomes a text node, so that no text from the server can turn into markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element: attributes by name (true: without a value; false, null: none), listeners as `onclick` and so on. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Set a text only where it differs: a screen reader isn't told the same twice. */
export function setText(node, text) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

const held = new WeakMap(); // node -> the form of what it was given last

/** Replace what a node holds, unless it was given the same before: what is focused, selected or opened stays so. */
export function setChildren(node, children) {
  const form = element("div", {}, ...children).innerHTML; // read only
  if (held.get(node) === form) return;
  held.set(node, form);
  node.replaceChildren(...children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}
