// Equations that are wider than their column become smaller, down to what can still be read.
const LEAST = 0.48;

function fitEquations() {
  for (const equation of document.querySelectorAll('mjx-container[display="true"]')) {
    equation.style.fontSize = "";
    let size = 1;  // its number keeps its distance, so that one step is not enough
    while (equation.scrollWidth > equation.clientWidth && size > LEAST) {
      size = Math.max(0.99 * size * equation.clientWidth / equation.scrollWidth, LEAST);
      equation.style.fontSize = `${100 * size}%`;
    }
  }
}

addEventListener("load", () => {
  const ready = window.MathJax?.startup?.promise;
  if (ready) ready.then(fitEquations);
});
addEventListener("resize", fitEquations);
addEventListener("toggle", fitEquations, true);  // what was folded had no width until now

// A fold is called what its line says; the theme gives all of them the same name.
addEventListener("DOMContentLoaded", () => {
  for (const line of document.querySelectorAll("summary[aria-label]")) {
    line.removeAttribute("aria-label");
  }
});

// What a picture shows stands below it; who hears the page has it from the picture itself.
addEventListener("DOMContentLoaded", () => {
  for (const picture of document.querySelectorAll("div.cell_output img:not(.animation img, .sd-card img)")) {
    const caption = document.createElement("p");
    Object.assign(caption, {className: "caption", textContent: picture.alt, ariaHidden: "true"});
    (picture.closest("a") ?? picture).after(caption);  // a picture leads to itself, its text does not
  }
});

// Tables of all figures are called alike; saved, they are called after their page.
addEventListener("DOMContentLoaded", () => {
  const page = location.pathname.split("/").pop().replace(".html", "");
  for (const link of document.querySelectorAll("a.download")) {
    const file = link.pathname.split("/").pop();
    if (!page.startsWith(file.split(".")[0])) link.download = `${page}-${file}`;
  }
});

// Paper is white, and what is folded on it stays so: verdicts are opened for the print.
const root = document.documentElement.dataset;
let shown = null;
addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll("details.sentences:not([open])")];
  shown = {theme: root.theme, mode: root.mode, closed};
  Object.assign(root, {theme: "light", mode: "light"});
  for (const fold of closed) fold.open = true;
});
addEventListener("afterprint", () => {
  if (!shown) return;
  const {theme, mode, closed} = shown;
  Object.assign(root, {theme, mode});
  for (const fold of closed) fold.open = false;
  shown = null;
});
