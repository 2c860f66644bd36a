"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

for (const image of document.querySelectorAll("img[data-again]"))
  image.src = document.getElementById(`picture-${image.dataset.again}`).src;

// ---- charts: values under the pointer, or by the arrow keys -----------------------------------------------

function text(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
  return value.toLocaleString("en", { maximumFractionDigits: size < 1 ? 5 : size < 100 ? 4 : 1 });
}

function nearest(places, x) {
  let best = 0;
  for (let index = 1; index < places.length; index++)
    if (Math.abs(places[index][0] - x) < Math.abs(places[best][0] - x)) best = index;
  return best;
}

for (const svg of document.querySelectorAll("svg.chart")) {
  const chart = data.charts[svg.dataset.chart];
  const cross = svg.querySelector(".cross");
  const reading = svg.closest("figure").querySelector(".reading");
  const fullest = chart.lines.reduce((a, b) => (b.at.length > a.at.length ? b : a));
  let place = -1;

  const show = (x) => {
    place = nearest(fullest.at, x);
    const at = fullest.at[place][0];
    cross.setAttribute("x1", at);
    cross.setAttribute("x2", at);
    cross.style.visibility = "visible";
    const found = chart.lines
      .map((line) => [line, nearest(line.at, at)])
      .filter(([line, index]) => line === fullest || Math.abs(line.at[index][0] - at) < 12)
      .map(([line, index]) => `${line.name} ${text(line.values[index][1])}`);
    reading.textContent = `${chart.x} ${text(fullest.values[place][0])}: ${found.join(", ")}`;
  };
  const hide = () => {
    cross.style.visibility = "hidden";
    reading.textContent = "";
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const last = fullest.at.length - 1;
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    show(fullest.at[Math.min(last, Math.max(0, next))][0]);
  });
}

// ---- tables that sort ---------------------------------------------------------------------------------------

for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === (column ? "descending" : "ascending");
      const rising = column ? down : !down;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const key = (row) => {
        const cell = row.cells[column];
        return column ? (cell.dataset.number === "" ? null : Number(cell.dataset.number)) : cell.textContent;
      };
      const rows = [...body.rows].sort((a, b) => {
        const [one, other] = [key(a), key(b)];
        if (one === null || other === null) return (one === null) - (other === null);
        const order = column ? one - other : one.localeCompare(other);
        return rising ? order : -order;
      });
      body.append(...rows);
    });
  });
}

// ---- the confusion matrix: a click shows images -------------------------------------------------------------

const dialog = document.getElementById("images");
if (dialog) {
  const list = dialog.querySelector("ul");
  const sources = data.pictures;
  for (const button of document.querySelectorAll("button[data-cell]"))
    button.addEventListener("click", () => {
      const shown = data.cells[button.dataset.cell] || [];
      const count = Number(button.dataset.count);
      dialog.querySelector("h2").textContent = button.dataset.title;
      const some = shown.length < count ? `, the ${shown.length} surest of them here` : "";
      dialog.querySelector("p").textContent = `${count.toLocaleString("en")} image${count === 1 ? "" : "s"}${some}`;
      list.replaceChildren(
        ...shown.map((image) => {
          const item = document.createElement("li");
          if (image.picture !== null) {
            const picture = document.createElement("img");
            picture.src = sources[image.picture] || document.getElementById(`picture-${image.picture}`).src;
            picture.alt = image.name;
            item.append(picture, document.createElement("br"));
          }
          const name = document.createElement("span");
          name.className = "name";
          name.textContent = image.name;
          item.append(name, ` ${Math.round(100 * image.probability)} %`);
          return item;
        }),
      );
      dialog.showModal();
    });
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// ---- heat maps, and layers over scenes ----------------------------------------------------------------------

for (const button of document.querySelectorAll("button[data-heat]"))
  button.addEventListener("click", () => {
    const on = document.getElementById("examples").classList.toggle("heated");
    button.setAttribute("aria-pressed", String(on));
  });

function layer() {
  const kind = document.querySelector("input[name=layer]:checked").value;
  const opacity = document.getElementById("opacity").value / 100;
  document.querySelector("output[for=opacity]").textContent = `${Math.round(100 * opacity)} %`;
  for (const image of document.querySelectorAll("img.layer")) {
    image.style.visibility = image.dataset.layer === kind ? "visible" : "hidden";
    image.style.opacity = opacity;
  }
}
for (const input of document.querySelectorAll("input[name=layer], #opacity")) input.addEventListener("input", layer);
if (document.getElementById("opacity")) layer();
