// The bar with the actions on the selected images, at the bottom of the page or of the dialog of a cluster.

const selectionBar = (() => {
  const bar = element("div", { id: "selection", role: "group", "aria-label": "Selected images", hidden: true });
  const text = element("p", { id: "selection-text", role: "status" });
  const actions = element("div", { id: "selection-actions", class: "row" });
  const naming = element("div", { id: "selection-naming", class: "row", hidden: true });
  const undo = button("selection-undo", "Undo", undoChange);
  const close = button("selection-clear", "✕", () => {
    selection.clear();
    hideBar();
    returnFocus();
  });
  close.setAttribute("aria-label", "Clear the selection");
  bar.append(text, naming, actions, undo, close);
  return { bar, text, actions, naming, undo };
})();

function button(id, text, onclick) {
  return element("button", { id, type: "button", onclick }, text);
}

// Each action on the selected images: its key, its button, and what it does and says.
const ACTIONS = [
  { id: "new", key: "n", text: "New cluster", run: createFromSelection },
  {
    id: "reject",
    key: "x",
    text: "Does not belong here",
    run: (chosen) => {
      plan.reject(chosen);
      return `${formatCount(chosen.length, "image")} will be removed from clusters.`;
    },
  },
  {
    id: "pin",
    key: "p",
    text: "Pin",
    run: (chosen) => {
      plan.pin(chosen);
      return `Pinned ${formatCount(chosen.length, "image")}.`;
    },
  },
  {
    id: "aside",
    key: "a",
    text: "Set aside",
    run: (chosen) => {
      plan.setAside(chosen, true);
      const staying = chosen.filter((index) => !plan.aside.has(index) && !setAside.has(index)).length;
      const why = staying ? ` ${formatCount(staying, "image")} must stay: the last of a group of copies.` : "";
      return `${formatCount(chosen.length - staying, "image")} will be set aside.${why}`;
    },
  },
];

function setUpSelectionBar() {
  const { bar, actions } = selectionBar;
  actions.append(
    element("label", {}, "Move to ", element("select", { id: "selection-target" })),
    button("selection-move", "Move", moveSelection),
    ...ACTIONS.map((action) => button(`selection-${action.id}`, action.text, () => act(action))),
    button("selection-save", "Save as CSV", () => selection.save()),
  );
  document.body.append(bar);
  selection.listeners.push(showSelection);
  const update = () => {
    fillTargets();
    selectionBar.undo.disabled = !plan.earlier.length;
  };
  plan.listeners.push(update);
  update();
  const observer = new MutationObserver(placeBar);
  for (const dialog of document.querySelectorAll("dialog"))
    observer.observe(dialog, { attributes: true, attributeFilter: ["open"], childList: true });
  document.addEventListener("keydown", pressSelectionKey);
}

// The bar is in the dialog of a cluster while that is on top: what is behind an open dialog cannot be used.
function placeBar() {
  const { bar } = selectionBar;
  const top = byId("cluster-dialog");
  const home = top.open && document.querySelectorAll("dialog[open]").length === 1 ? top : document.body;
  if (bar.parentElement !== home || home.lastElementChild !== bar) home.append(bar);
}

function fillTargets() {
  const select = byId("selection-target");
  const chosen = select.value;
  select.replaceChildren(...clusterSelect("", "…", undefined, undefined, { created: true }).options);
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
}

function showSelection() {
  const { bar, text, actions, naming } = selectionBar;
  const count = selection.images.size;
  if (!count && naming.hidden && actions.hidden) return; // the bar says what the last action did
  naming.hidden = true;
  actions.hidden = count === 0;
  bar.hidden = count === 0;
  document.body.classList.toggle("selecting", count > 0);
  text.textContent = `${formatInteger(count)} selected`;
}

function hideBar() {
  selectionBar.bar.hidden = true;
  document.body.classList.remove("selecting");
}

// Says what was done, and clears the selection.
function report(message) {
  const { bar, text, actions } = selectionBar;
  actions.hidden = true;
  bar.hidden = false;
  text.textContent = message;
  selection.clear();
  returnFocus();
}

// The focus returns to where the images were selected.
function returnFocus() {
  const { origin } = selection;
  if (origin?.isConnected && origin.checkVisibility()) origin.focus({ preventScroll: true });
  else if (!selectionBar.bar.hidden) selectionBar.undo.focus();
}

function act(action) {
  const chosen = selection.sorted;
  if (!chosen.length) return;
  const message = action.run(chosen);
  if (message) report(message);
}

function moveSelection() {
  const select = byId("selection-target");
  const number = selectedCluster(select);
  const chosen = selection.sorted;
  if (number === null) {
    select.focus();
    return;
  }
  plan.move(chosen, number);
  const staying = chosen.filter((index) => images.cluster[index] === number).length;
  const there = staying ? ` ${formatCount(staying, "image")} ${staying === 1 ? "is" : "are"} in it already.` : "";
  report(`${formatCount(chosen.length - staying, "image")} will move to ${fullTitle(number)}.${there}`);
}

function createFromSelection(chosen) {
  const { naming } = selectionBar;
  const number = plan.create(chosen);
  report(`${untitled(number)} of ${formatCount(chosen.length, "image")}.`);
  const { field, problem } = newClusterName(number, "selection-name");
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || problem.textContent) return;
    event.preventDefault(); // the focus moves to an image, which Enter would open
    returnFocus();
  });
  naming.replaceChildren(field, problem);
  naming.hidden = false;
  field.querySelector("input").focus();
}

// The field for the name of a new cluster, and what is wrong with the name.
function newClusterName(number, id) {
  const input = element("input", { id, type: "text", maxlength: "80", autocomplete: "off", placeholder: "no name" });
  input.value = plan.nameOf(number);
  const problem = element("span", { class: "problem", role: "alert" });
  const rename = () => {
    problem.textContent = plan.nameProblem(number, input.value);
    if (!problem.textContent && plan.created.has(number)) plan.rename(number, input.value);
  };
  input.addEventListener("change", rename);
  input.addEventListener("keydown", (event) => event.key === "Enter" && rename());
  return { field: element("label", {}, "Name ", input), problem };
}

function undoChange() {
  if (!plan.earlier.length) return;
  plan.undo();
  const { bar, text, actions, naming } = selectionBar;
  naming.hidden = true;
  if (selection.images.size) return;
  actions.hidden = true;
  bar.hidden = false;
  text.textContent = "Undone.";
}

// Keys for the actions, while images, the map, the bar or nothing has the focus, also with Caps Lock.
function pressSelectionKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select")) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isCovered = document.querySelector("dialog[open]") && selectionBar.bar.parentElement === document.body;
  const isHere = event.target.closest(".tiles, #map-view, #selection") || (event.target === document.body && !isCovered);
  if (pressed === "?") openHelp();
  else if (!selection.images.size) return;
  else if (pressed === "Escape") {
    if (document.querySelector("dialog[open]")) return;
    selection.clear();
  } else if (!isHere) return;
  else if (pressed === "m") byId("selection-target").focus();
  else if (pressed === "s") selection.save();
  else {
    const action = ACTIONS.find(({ key }) => key === pressed);
    if (!action) return;
    act(action);
  }
  event.preventDefault();
}
