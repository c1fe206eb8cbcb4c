// Changes that were made on an earlier version of this page and not applied: a line says so, and they can be added to the
// plan.

function showEarlierChanges() {
  const others = planStorage.others;
  const count = (part) => others.reduce((sum, other) => sum + countChanges(other[part]), 0);
  const [usable, lost] = [count("usable"), count("rest")];
  const line = byId("earlier");
  line.hidden = !others.length;
  line.replaceChildren(
    element("span", {}, [usable && earlierChanges(usable), lost && impossibleChanges(lost)].filter(Boolean).join(" ")),
    usable ? element("button", { id: "earlier-add", type: "button", onclick: addEarlier }, "Add to the plan") : "",
    element("button", { id: "earlier-discard", type: "button", onclick: discardEarlier }, "Discard"),
  );
}

const earlierChanges = (count) =>
  `${formatCount(count, "change")} made on an earlier version of this page ${count === 1 ? "was" : "were"} not applied.`;

const impossibleChanges = (count) =>
  `${formatCount(count, "change")} of an earlier version cannot be added, as their images or clusters are not on this page: ` +
  `“imgcluster undo ${data.workspaceOption}” brings that version back.`;

// Returns a function that puts the stored texts of plans back.
function keepTexts(others) {
  const texts = others.map(({ key }) => [key, planStorage.read(key)]);
  return () => {
    for (const [key, text] of texts) planStorage.write(key, text);
    showEarlierChanges();
  };
}

function addEarlier() {
  const { others } = planStorage;
  plan.change(() => others.forEach(({ usable }) => plan.add(usable)), keepTexts(others));
  if (planStorage.works) for (const { key, stored, rest } of others) planStorage.replace(key, stored, rest);
  showEarlierChanges();
  byId("plan-open").focus();
}

function discardEarlier() {
  const { others } = planStorage;
  const putBack = keepTexts(others);
  for (const { key } of others) localStorage.removeItem(key);
  byId("earlier").replaceChildren(
    element("span", {}, "Discarded."),
    element("button", { id: "earlier-undo", type: "button", onclick: putBack }, "Undo"),
  );
  byId("earlier-undo").focus();
}

window.addEventListener("storage", showEarlierChanges);
