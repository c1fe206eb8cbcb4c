// What the reader decides: names, merges, misplaced images. Kept here until saved as a file for `imgcluster apply`.

const plan = {
  names: new Map(),
  merges: new Map(),
  misplaced: new Map(),
  saved: true,
  watchers: [],

  get size() {
    return this.names.size + this.merges.size + this.misplaced.size;
  },

  changed() {
    this.saved = this.size === 0;
    for (const watch of this.watchers) watch();
  },

  nameOf(number) {
    return this.names.get(number) ?? clusters.get(number).name;
  },

  // Why a cluster cannot have this name; "" where it can.
  objection(number, text) {
    const wanted = text.trim().normalize("NFC").toLowerCase();
    if (!wanted) return "";
    for (const other of clusters.keys()) {
      if (other !== number && other >= 0 && !this.merges.has(other) && this.nameOf(other).toLowerCase() === wanted)
        return `Cluster ${other} has this name already; merge the two, or choose another name.`;
    }
    return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? "A name cannot hold line breaks or control characters." : "";
  },

  rename(number, text) {
    const name = text.trim().normalize("NFC");
    if (name === clusters.get(number).name) this.names.delete(number);
    else this.names.set(number, name);
    this.changed();
  },

  // Where a cluster ends up after all merges.
  end(number) {
    while (this.merges.has(number)) number = this.merges.get(number);
    return number;
  },

  merge(from, into) {
    this.merges.delete(from);
    if (into !== null && this.end(into) !== from) {
      this.merges.set(from, into);
      const name = this.names.get(from);
      this.names.delete(from);
      // A name goes along to a cluster that has none, as a name of before does when the plan is carried out.
      if (name && into >= 0 && !this.nameOf(into)) this.names.set(into, name);
    }
    this.changed();
  },

  misplace(index, number) {
    if (number === null || number === images.cluster[index]) this.misplaced.delete(index);
    else this.misplaced.set(index, number);
    this.changed();
  },

  toJSON() {
    const word = (number) => (number < 0 ? "noise" : number);
    return {
      imgcluster_plan: 1,
      clustering: data.identity,
      names: Object.fromEntries(this.names),
      merges: [...this.merges].map(([from, into]) => ({ from, into: word(into) })),
      misplaced: [...this.misplaced].map(([index, number]) => ({ path: images.path(index), to: word(number) })),
    };
  },

  save() {
    const file = new Blob([JSON.stringify(this, null, 2) + "\n"], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(file), download: "imgcluster-plan.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.saved = true;
  },
};

window.addEventListener("beforeunload", (event) => {
  if (!plan.saved) event.preventDefault();
});

function title(number) {
  if (number < 0) return "Noise";
  return plan.nameOf(number) || `Cluster ${number}`;
}

function fullTitle(number) {
  const name = number < 0 ? "" : plan.nameOf(number);
  return name ? `Cluster ${number}, ${name}` : title(number);
}

function chip(number) {
  const { colour, marker } = clusters.get(number);
  return element("span", { class: `chip ${marker}`, style: { "--colour": colour }, "aria-hidden": "true" });
}

// A list to choose a cluster from; `without` is left out.
function clusterChoice(label, none, without, chosen) {
  const options = [element("option", { value: "" }, none)];
  for (const number of clusters.keys()) {
    if (number !== without && number >= 0 && !plan.merges.has(number))
      options.push(element("option", { value: number, selected: number === chosen }, fullTitle(number)));
  }
  if (without !== -1) options.push(element("option", { value: -1, selected: chosen === -1 }, "Noise: in no cluster"));
  return element("select", { "aria-label": label }, ...options);
}

function describePlan() {
  const row = (text, undo) =>
    element(
      "li",
      {},
      element("span", {}, text),
      element("button", { type: "button", class: "small", onclick: undo }, "Take back"),
    );
  const rows = [];
  for (const [number, name] of plan.names)
    rows.push(
      row(name ? `Call cluster ${number} “${name}”` : `Take the name of cluster ${number} away`, () => {
        plan.names.delete(number);
        plan.changed();
      }),
    );
  for (const [from, into] of plan.merges)
    rows.push(row(`Merge ${fullTitle(from)} into ${fullTitle(into)}`, () => plan.merge(from, null)));
  for (const [index, number] of plan.misplaced)
    rows.push(row(`${images.path(index)} belongs to ${fullTitle(number)}`, () => plan.misplace(index, null)));
  return rows;
}

function openPlan() {
  const dialog = byId("plan-card");
  showPlan();
  dialog.showModal();
}

function showPlan() {
  const dialog = byId("plan-card");
  const rows = describePlan();
  const save = element(
    "button",
    { type: "button", class: "strong", id: "plan-save", disabled: rows.length === 0, onclick: () => plan.save() },
    "Save plan",
  );
  dialog.replaceChildren(
    closing(dialog, element("h2", { id: "plan-title" }, "Plan")),
    rows.length
      ? element("p", { class: "soft" }, "Nothing is changed yet. Save the plan, then carry it out:")
      : element(
          "p",
          { class: "soft" },
          "Nothing decided yet. Open a cluster to name it or to merge it, or an image to say where it belongs.",
        ),
    element("code", { class: "command", tabindex: "0" }, data.command),
    element("p", { class: "soft" }, "Folders, tables and this page follow; imgcluster undo takes it back."),
    element("ol", { class: "decisions" }, ...rows),
    element("p", { class: "row" }, save),
  );
}

plan.watchers.push(() => byId("plan-card").open && showPlan());

// The head of a dialog: what it is about, and a way out that needs no keyboard.
function closing(dialog, heading) {
  return element(
    "div",
    { class: "card-head" },
    heading,
    element("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕"),
  );
}
