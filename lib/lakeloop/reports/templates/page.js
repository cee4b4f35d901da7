const places = [...document.querySelectorAll("[data-figure]")];
for (const place of places) {
  const { data, layout } = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, data, layout, { displayModeBar: false, responsive: true });
}
// Paper does not resize charts; 640 pixels fit A4 and Letter.
const setWidths = (width) => places.forEach((place) => Plotly.relayout(place, { width, autosize: !width }));
addEventListener("beforeprint", () => setWidths(640));
addEventListener("afterprint", () => setWidths(null));
