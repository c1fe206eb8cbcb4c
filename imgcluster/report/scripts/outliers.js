// Outliers: unusual images with the reasons, all or those with one reason.

const REASON_WORDS = {
  far: "unlike all others",
  atypical: "unlike its cluster",
  blurred: "blurred",
  dark: "dark",
  bright: "bright",
  "low-contrast": "low contrast",
  "single-color": "one color",
  tiny: "tiny",
};

function showOutliers() {
  const found = data.findings.outliers.map(([image, reasons, sharpness]) => ({ image, reasons, sharpness }));
  if (!found.length) return;
  const total = found.length + data.findings.moreOutliers;
  const link = element("a", { href: "#outliers" }, formatCount(total, "unusual image"));
  byId("sentences").append(element("p", {}, link, "."));
  const badges = new Map(found.map(({ image, reasons }) => [image, reasons.map((reason) => REASON_WORDS[reason] ?? reason).join(", ")]));
  const counts = new Map();
  for (const { reasons } of found) for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const select = element("select", { id: "outlier-reason" }, element("option", { value: "" }, `All reasons (${formatInteger(found.length)})`));
  for (const [reason, words] of Object.entries(REASON_WORDS))
    if (counts.has(reason)) select.append(element("option", { value: reason }, `${words} (${formatInteger(counts.get(reason))})`));
  const slot = element("div");
  const fill = () => {
    const shown = found.filter(({ reasons }) => !select.value || reasons.includes(select.value));
    if (select.value === "blurred") shown.sort((a, b) => (a.sharpness ?? 0) - (b.sharpness ?? 0));
    slot.replaceChildren(tileGrid(shown.map(({ image }) => image), "Unusual images", { badges }));
  };
  select.addEventListener("change", fill);
  fill();
  byId("outliers").append(
    element("h2", { id: "outliers-title" }, "Unusual images"),
    element("p", { class: "soft" }, "The most unusual first. They stay in their clusters; outliers.csv has all images."),
    element("p", { class: "row" }, element("label", {}, "Reason ", select)),
    slot,
  );
  byId("outliers").hidden = false;
}
