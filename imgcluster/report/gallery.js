// The overview, the gallery of clusters, and the search that narrows gallery and map down.

// Confidence below this is doubtful: the lowest quarter of all images that are in a cluster.
const doubtfulBelow = (() => {
  const all = images.confidence.filter((_, index) => images.cluster[index] >= 0).sort();
  return all.length ? all[Math.floor(all.length / 4)] : 0;
})();

// Which images fit the search; null while there is none.
const search = {
  fits: null,
  watchers: [],
  texts: null,

  run(text, folder, doubtful) {
    const words = text.toLowerCase().normalize("NFC").split(/\s+/).filter(Boolean);
    if (!words.length && folder === "" && !doubtful) this.fits = null;
    else {
      this.texts ??= images.names.map((_, index) => images.path(index).normalize("NFC").toLowerCase());
      const named = new Map([...clusters.keys()].map((number) => [number, fullTitle(number).toLowerCase()]));
      const wanted = folder === "" ? null : Number(folder);
      this.fits = new Uint8Array(images.count);
      for (let i = 0; i < images.count; i++) {
        if (wanted !== null && images.folder[i] !== wanted) continue;
        if (doubtful && images.cluster[i] >= 0 && images.confidence[i] > doubtfulBelow) continue;
        const own = named.get(images.cluster[i]);
        if (words.every((word) => this.texts[i].includes(word) || own.includes(word))) this.fits[i] = 1;
      }
    }
    for (const watch of this.watchers) watch();
  },
};

function showOverview() {
  byId("sentences").append(...data.sentences.map((text, at) => element("p", { class: at ? "" : "lead" }, text)));
  byId("sentences").append(...data.warnings.map((text) => element("p", { class: "warning", role: "note" }, text)));
  byId("facts").append(
    definition(data.facts.map(([name, value]) => [name, element("span", { class: "path" }, value)])),
  );
  const skipped = data.skipped.reduce((sum, [, count]) => sum + count, 0);
  if (skipped) {
    byId("sentences").append(
      element(
        "p",
        {},
        element("a", { href: "#skipped" }, `${counted(skipped, "file")} skipped`),
        ": they could not be read.",
      ),
    );
    byId("skipped").hidden = false;
    byId("skipped")
      .querySelector("tbody")
      .append(
        ...data.skipped.map(([reason, count]) =>
          element("tr", {}, element("td", {}, reason), element("td", {}, whole(count))),
        ),
      );
  }
  const largest = Math.max(...[...clusters.values()].map((cluster) => cluster.size));
  for (const cluster of clusters.values()) {
    const label = `${fullTitle(cluster.number)}: ${counted(cluster.size, "image")}, ${percent(cluster.size / images.count)}`;
    byId("sizes").append(
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", title: label, "aria-label": label, onclick: () => goTo(cluster.number) },
          element("span", { class: "count", "aria-hidden": "true" }, whole(cluster.size)),
          element("span", {
            class: "column",
            style: { "--colour": cluster.colour, "--height": cluster.size / largest },
          }),
          element(
            "span",
            { class: "number", "aria-hidden": "true" },
            cluster.number < 0 ? "noise" : String(cluster.number),
          ),
        ),
      ),
    );
  }
  byId("sizes").classList.toggle("many", clusters.size > 24);
}

function goTo(number) {
  const section = byId(`cluster${number}`);
  section.scrollIntoView({ block: "start" });
  section.querySelector("h3 button").focus({ preventScroll: true });
}

function summaryOf(cluster) {
  const parts = [`${counted(cluster.size, "image")}, ${percent(cluster.size / images.count)}`];
  if (cluster.number >= 0) {
    parts.push(`confidence ${rounded(cluster.confidence)}`);
    if (cluster.silhouette !== null) parts.push(`silhouette ${rounded(cluster.silhouette)}`);
    if (cluster.stability !== null) parts.push(`stability ${rounded(cluster.stability)}`);
  }
  return parts.join(" · ");
}

function showGallery() {
  for (const cluster of clusters.values()) {
    const { number } = cluster;
    const open = element("button", {
      type: "button",
      class: "open",
      "aria-haspopup": "dialog",
      onclick: () => openCluster(number, cluster.found),
    });
    const section = element(
      "article",
      {
        id: `cluster${number}`,
        class: "cluster",
        "aria-labelledby": `title${number}`,
        style: { "--colour": cluster.colour },
      },
      element(
        "div",
        { class: "cluster-head" },
        element("h3", { id: `title${number}` }, open),
        element("p", { class: "soft" }, summaryOf(cluster)),
        element("p", { class: "merged", hidden: true }),
      ),
      element("div", { class: "strip-home" }),
      element("button", {
        type: "button",
        class: "all link",
        "aria-haspopup": "dialog",
        onclick: () => openCluster(number, cluster.found),
      }),
    );
    byId("clusters").append(section);
    cluster.section = section;
  }
  retitle();
  refill();
}

function retitle() {
  for (const { number, section } of clusters.values()) {
    section
      .querySelector(".open")
      .replaceChildren(chip(number), title(number), plan.nameOf(number) ? element("small", {}, String(number)) : "");
    const merged = section.querySelector(".merged");
    merged.hidden = !plan.merges.has(number);
    merged.textContent = merged.hidden ? "" : `will be merged into ${fullTitle(plan.end(number))}`;
    const bar = byId("sizes").children[[...clusters.keys()].indexOf(number)].firstChild;
    bar.title = `${fullTitle(number)}: ${counted(clusters.get(number).size, "image")}`;
  }
  byId("plan-open").textContent = plan.size ? `Plan: ${counted(plan.size, "decision")}` : "Plan";
  byId("plan-open").classList.toggle("strong", plan.size > 0);
}

// A strip is filled when it comes near the screen: hundreds of clusters need not be drawn at once.
const waiting = new IntersectionObserver(
  (seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      waiting.unobserve(entry.target);
      const cluster = clusters.get(Number(entry.target.dataset.cluster));
      const list = cluster.found ? cluster.found.slice(0, cluster.representatives.length) : cluster.representatives;
      entry.target.replaceChildren(
        tileGrid(list, `${cluster.found ? "Found in" : "Typical of"} ${fullTitle(cluster.number)}`, { strip: true }),
      );
    }
  },
  { rootMargin: "800px" },
);

function refill() {
  let found = 0;
  for (const cluster of clusters.values()) {
    cluster.found = search.fits && cluster.members.filter((index) => search.fits[index]);
    const count = cluster.found ? cluster.found.length : cluster.size;
    found += count;
    cluster.section.hidden = count === 0;
    const all = cluster.section.querySelector(".all");
    all.textContent = cluster.found
      ? `Show the ${whole(count)} found`
      : `Show ${count === 1 ? "it" : `all ${whole(count)}`}`;
    all.setAttribute("aria-label", `${all.textContent}: ${fullTitle(cluster.number)}`);
    const home = cluster.section.querySelector(".strip-home");
    home.dataset.cluster = cluster.number;
    home.replaceChildren();
    waiting.unobserve(home);
    if (count) waiting.observe(home);
  }
  byId("gallery-none").hidden = found > 0;
  byId("found").textContent = search.fits ? `${counted(found, "image")} found` : "";
}

function setUpSearch() {
  const order = images.folders
    .map((_, at) => at)
    .sort((a, b) => (images.folders[a][0] < images.folders[b][0] ? -1 : 1));
  byId("folder").append(
    element("option", { value: "" }, "all folders"),
    ...order.map((at) => element("option", { value: at }, images.folders[at][0] || "the folder itself")),
  );
  byId("folder-label").hidden = images.folders.length < 2;
  let timer = 0;
  const run = () => search.run(byId("search").value, byId("folder").value, byId("doubtful").checked);
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(run, 120);
  };
  byId("search").addEventListener("input", soon);
  byId("folder").addEventListener("change", run);
  byId("doubtful").addEventListener("change", run);
  byId("plan-open").addEventListener("click", openPlan);
  search.watchers.push(refill);
  plan.watchers.push(retitle);
}
