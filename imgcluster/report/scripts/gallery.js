// The gallery: a section for each cluster with its representative images, or those that match the search.

// Images of each cluster: the more clusters there are, the fewer.
const STRIP_LENGTH = clusters.size > 100 ? 4 : clusters.size > MANY_CLUSTERS ? 8 : 12;

function showGallery() {
  byId("clusters").classList.toggle("many", clusters.size > MANY_CLUSTERS);
  for (const cluster of clusters.values()) {
    cluster.section = clusterSection(cluster);
    byId("clusters").append(cluster.section);
  }
  search.listeners.push(refillGallery);
  plan.listeners.push(retitleGallery);
  byId("plan-open").addEventListener("click", openPlanDialog);
  byId("plan-undo").addEventListener("click", undoChange);
  byId("help-open").addEventListener("click", openHelp);
  retitleGallery();
  refillGallery();
}

function clusterSection(cluster) {
  const { number, size } = cluster;
  const opens = (classes) => ({
    type: "button",
    class: classes,
    "aria-haspopup": "dialog",
    onclick: () => openCluster(number, cluster.found),
  });
  const id = `title${number}`;
  const attributes = { id: `cluster${number}`, class: "cluster", "aria-labelledby": id };
  return element(
    "article",
    { ...attributes, style: { "--color": cluster.color } },
    element(
      "div",
      { class: "cluster-head" },
      element("h3", { id }, element("button", opens("open"))),
      element("p", { class: "soft" }, `${formatCount(size, "image")} (${formatPercent(size / images.total)})`),
      element("p", { class: "merged", hidden: true }),
      element("button", opens("all link")),
    ),
    element("div", { class: "strip-slot", "data-cluster": number }),
  );
}

function retitleGallery() {
  for (const { number, section } of clusters.values()) {
    const beside = plan.nameOf(number) ? String(number) : suggestedName(number);
    section
      .querySelector(".open")
      .replaceChildren(clusterMarker(number), shortTitle(number), beside && element("small", {}, beside));
    const merged = section.querySelector(".merged");
    merged.textContent = plan.merges.has(number)
      ? `will be merged into ${fullTitle(plan.mergeTarget(number))}`
      : plan.splits.has(number)
        ? `will be split into ${plan.splits.get(number)} parts`
        : "";
    merged.hidden = !merged.textContent;
    labelAll(section, number);
  }
  byId("plan-undo").disabled = !plan.earlier.length;
  byId("plan-open").textContent = plan.size ? `Plan: ${formatCount(plan.size, "change")}` : "Plan";
  byId("plan-open").classList.toggle("strong", plan.size > 0);
}

// A strip is filled shortly before it scrolls into view: with hundreds of clusters, filling all takes seconds.
const stripObserver = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      fillStrip(target);
    }
  },
  { rootMargin: "800px" },
);

function fillStrip(slot) {
  stripObserver.unobserve(slot);
  const { number, found, representatives } = clusters.get(Number(slot.dataset.cluster));
  const list = (found ?? representatives).slice(0, Math.min(STRIP_LENGTH, representatives.length));
  const label = `${found ? "Matching images" : "Typical images"} of ${fullTitle(number)}`;
  slot.replaceChildren(tileGrid(list, label, { strip: true }));
}

// The label of the button that shows all images, for screen readers: the cluster has its present name.
function labelAll(section, number) {
  const all = section.querySelector(".all");
  all.setAttribute("aria-label", `${all.textContent}: ${fullTitle(number)}`);
}

function refillGallery() {
  let total = 0;
  for (const cluster of clusters.values()) {
    cluster.found = search.matches && cluster.members.filter((index) => search.matches[index]);
    const count = cluster.found ? cluster.found.length : cluster.size;
    total += count;
    cluster.section.hidden = count === 0;
    const all = cluster.section.querySelector(".all");
    all.textContent = cluster.found
      ? `Show ${formatInteger(count)} matching`
      : count === 1
        ? "Show the image"
        : isSampled(cluster)
          ? `Show ${formatInteger(cluster.members.length)} of them`
          : `Show all ${formatInteger(count)}`;
    labelAll(cluster.section, cluster.number);
    const slot = cluster.section.querySelector(".strip-slot");
    slot.replaceChildren();
    stripObserver.unobserve(slot);
    if (count) stripObserver.observe(slot);
  }
  byId("gallery-none").hidden = total > 0;
  byId("match-count").textContent = search.matches ? `${formatCount(total, "image")} found` : "";
}
