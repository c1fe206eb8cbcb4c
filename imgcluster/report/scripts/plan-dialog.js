// The dialog that lists the plan's changes and saves the plan.

const MOST_LISTED = 200;

function planRow(text, remove, ...more) {
  const parts = [
    element("span", {}, text),
    element("button", { type: "button", class: "small", "aria-label": `Remove: ${text}`, onclick: remove }, "Remove"),
  ];
  return element("li", {}, ...parts, ...more);
}

function planRows() {
  const rows = [];
  for (const [number, name] of plan.names) {
    const text = name ? `Name cluster ${number} “${name}”` : `Remove the name of cluster ${number}`;
    rows.push(planRow(text, () => plan.rename(number, clusters.get(number).name)));
  }
  for (const [from, into] of plan.merges)
    rows.push(planRow(`Merge ${fullTitle(from)} into ${fullTitle(into)}`, () => plan.merge(from, null)));
  for (const [number, parts] of plan.splits)
    rows.push(planRow(`Split ${fullTitle(number)} into ${parts} parts`, () => plan.split(number, null)));
  const targets = new Map();
  for (const [index, number] of plan.misplaced) {
    if (!targets.has(number)) targets.set(number, []);
    targets.get(number).push(index);
  }
  for (const [number, moved] of targets) {
    const { field, problem } = number < NOISE ? newClusterName(number, `name${number}`) : {};
    rows.push(imagesRow("Move", moved, ` to ${fullTitle(number)}`, { id: `moved${number}`, more: [field, problem] }));
  }
  if (plan.unsorted.size) rows.push(imagesRow("Put", [...plan.unsorted.keys()], " into no cluster", { id: "unsorted" }));
  if (plan.aside.size) {
    const keep = (indices) => plan.setAside(indices, false);
    rows.push(imagesRow("Set aside", [...plan.aside.keys()], "", { id: "aside", keep }));
  }
  if (plan.pinned.size) rows.push(imagesRow("Pin", [...plan.pinned.keys()], "", { id: "pinned" }));
  return rows;
}

// The same change of several images, which can be removed one by one; `keep` removes it from some of them.
function imagesRow(before, indices, after, { id, keep = (removed) => plan.move(removed, null), more = [] }) {
  const undo = (removed) => () => keep(removed);
  const title = indices.length === 1 ? images.path(indices[0]) : formatCount(indices.length, "image");
  const row = planRow(`${before} ${title}${after}`, undo(indices), ...more);
  if (indices.length > 1) {
    const listed = indices.slice(0, MOST_LISTED).map((index) => planRow(images.path(index), undo([index])));
    const rest = indices.length - listed.length;
    row.append(
      element(
        "details",
        { id: `plan-${id}` },
        element("summary", {}, "Images"),
        element("ul", { class: "changes" }, ...listed),
        rest ? element("p", { class: "soft" }, `and ${formatCount(rest, "more image")}`) : null,
      ),
    );
  }
  return row;
}

// A command for this workspace, and a button that copies it.
function commandRow(words, id) {
  const command = `imgcluster ${words} ${data.workspaceOption}`;
  return element(
    "p",
    { class: "row command-row" },
    element("code", { class: "command", tabindex: "0" }, command),
    copyButton("Copy", command, id),
  );
}

// Fills the dialog; opened lists stay open, and the focus stays where it was.
function fillPlanDialog() {
  const dialog = byId("plan-dialog");
  const buttons = () => [...dialog.querySelectorAll(".changes button")].filter((button) => button.checkVisibility());
  const focused = document.activeElement?.id;
  const at = buttons().indexOf(document.activeElement);
  const opened = [...dialog.querySelectorAll("details[open]")].map(({ id }) => id);
  const focusButton = () => (buttons().at(Math.min(at, buttons().length - 1)) ?? dialog.querySelector(".close")).focus();
  const rows = planRows();
  const head = dialogHead(dialog, element("h2", { id: "plan-title" }, "Plan"));
  if (!rows.length) {
    const hint = "No changes yet. Open a cluster to name, merge or split it, or select images to move them.";
    dialog.replaceChildren(head, element("p", { class: "soft" }, hint));
    if (at >= 0) focusButton();
    return;
  }
  dialog.replaceChildren(
    head,
    element("ol", { class: "changes" }, ...rows),
    element(
      "p",
      { class: "row" },
      element("button", { type: "button", class: "strong", id: "plan-save", onclick: () => plan.save() }, "Save plan"),
    ),
    element(
      "p",
      { class: "soft" },
      "Nothing has been changed yet. “Save plan” saves a file in your browser's download folder. Then run this " +
        "command in a terminal; if your browser saves files elsewhere, change the path in it:",
    ),
    commandRow(`apply ~/Downloads/${plan.fileName}`, "plan-copy"),
    element("p", { class: "soft" }, "The plan changes the cluster folders, the tables and this page. To undo it:"),
    commandRow("undo", "plan-copy-undo"),
    planStorage.works
      ? ""
      : element(
          "p",
          { id: "plan-not-stored", class: "warning" },
          "This browser does not keep the plan when the page is reloaded or closed: save it before.",
        ),
  );
  for (const id of opened) if (byId(id)) byId(id).open = true;
  if (focused) byId(focused)?.focus();
  else if (at >= 0) focusButton();
}

function openPlanDialog() {
  fillPlanDialog();
  byId("plan-dialog").showModal();
}

plan.listeners.push(() => byId("plan-dialog").open && fillPlanDialog());
