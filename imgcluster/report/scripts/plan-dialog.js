// The dialog that lists the plan's changes and saves the plan.

function planRows() {
  const row = (text, remove) =>
    element(
      "li",
      {},
      element("span", {}, text),
      element("button", { type: "button", class: "small", onclick: remove }, "Remove"),
    );
  const rows = [];
  for (const [number, name] of plan.names)
    rows.push(
      row(name ? `Name cluster ${number} “${name}”` : `Remove the name of cluster ${number}`, () => {
        plan.names.delete(number);
        plan.changed();
      }),
    );
  for (const [from, into] of plan.merges)
    rows.push(row(`Merge ${fullTitle(from)} into ${fullTitle(into)}`, () => plan.merge(from, null)));
  for (const [index, number] of plan.misplaced)
    rows.push(row(`Move ${images.path(index)} to ${fullTitle(number)}`, () => plan.misplace(index, null)));
  return rows;
}

function fillPlanDialog() {
  const dialog = byId("plan-dialog");
  const rows = planRows();
  const head = dialogHead(dialog, element("h2", { id: "plan-title" }, "Plan"));
  if (!rows.length) {
    const hint = "No changes yet. Open a cluster to name or merge it, or an image to move it to another cluster.";
    dialog.replaceChildren(head, element("p", { class: "soft" }, hint));
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
    element("p", { class: "soft" }, "Nothing has been changed yet. Save the plan, then run this command to apply it:"),
    element("code", { class: "command", tabindex: "0" }, data.command),
    element(
      "p",
      { class: "soft" },
      "It updates the cluster folders, the tables and this page. To revert it, run imgcluster undo.",
    ),
  );
}

function openPlanDialog() {
  fillPlanDialog();
  byId("plan-dialog").showModal();
}

plan.listeners.push(() => byId("plan-dialog").open && fillPlanDialog());
