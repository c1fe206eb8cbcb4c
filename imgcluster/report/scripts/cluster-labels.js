// How clusters are named, marked and chosen throughout the page.

function shortTitle(number) {
  if (number < 0) return "Noise";
  return plan.nameOf(number) || `Cluster ${number}`;
}

function fullTitle(number) {
  const name = number < 0 ? "" : plan.nameOf(number);
  return name ? `Cluster ${number}, ${name}` : shortTitle(number);
}

// What is shown beside the title of an unnamed cluster.
function suggestedName(number) {
  return plan.nameOf(number) ? "" : clusters.get(number).suggestedName;
}

function clusterMarker(number) {
  const { color, marker } = clusters.get(number);
  return element("span", { class: `marker ${marker}`, style: { "--color": color }, "aria-hidden": "true" });
}

function clusterLink(number) {
  return element(
    "button",
    { type: "button", class: "link", onclick: () => openCluster(number) },
    clusterMarker(number),
    shortTitle(number),
  );
}

// A drop-down list of all clusters but `without`; its first option, `unchanged`, has the value "".
function clusterSelect(id, unchanged, without, selected) {
  const options = [element("option", { value: "" }, unchanged)];
  for (const number of clusters.keys()) {
    if (number !== without && number >= 0 && !plan.merges.has(number))
      options.push(element("option", { value: number, selected: number === selected }, fullTitle(number)));
  }
  if (without !== -1) options.push(element("option", { value: -1, selected: selected === -1 }, "Noise (no cluster)"));
  return element("select", { id }, ...options);
}

const selectedCluster = (select) => (select.value === "" ? null : Number(select.value));
