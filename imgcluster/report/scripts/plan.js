// The plan: names, merges and corrections, kept in memory until saved as a file for `imgcluster apply`.

const plan = {
  names: new Map(),
  merges: new Map(),
  misplaced: new Map(),
  saved: true,
  listeners: [],

  get size() {
    return this.names.size + this.merges.size + this.misplaced.size;
  },

  changed() {
    this.saved = this.size === 0;
    for (const listener of this.listeners) listener();
  },

  nameOf(number) {
    return this.names.get(number) ?? clusters.get(number).name;
  },

  // Why a cluster cannot have this name; "" if it can.
  nameProblem(number, text) {
    const name = text.trim().normalize("NFC").toLowerCase();
    if (!name) return "";
    for (const other of clusters.keys()) {
      if (other !== number && other >= 0 && !this.merges.has(other) && this.nameOf(other).toLowerCase() === name)
        return `Cluster ${other} already has this name. Merge the two clusters or choose another name.`;
    }
    return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? "A name cannot contain line breaks or control characters." : "";
  },

  rename(number, text) {
    const name = text.trim().normalize("NFC");
    if (name === clusters.get(number).name) this.names.delete(number);
    else this.names.set(number, name);
    this.changed();
  },

  // The cluster that a cluster becomes part of after all merges.
  mergeTarget(number) {
    while (this.merges.has(number)) number = this.merges.get(number);
    return number;
  },

  merge(from, into) {
    this.merges.delete(from);
    if (into !== null && this.mergeTarget(into) !== from) {
      this.merges.set(from, into);
      const name = this.names.get(from);
      this.names.delete(from);
      // An unnamed target takes over the name, as it does for a stored name when the plan is applied.
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
    const target = (number) => (number < 0 ? "noise" : number);
    return {
      imgcluster_plan: 1,
      clustering: data.identity,
      names: Object.fromEntries(this.names),
      merges: [...this.merges].map(([from, into]) => ({ from, into: target(into) })),
      misplaced: [...this.misplaced].map(([index, number]) => ({ path: images.path(index), to: target(number) })),
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
