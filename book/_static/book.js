// Equations that are wider than their column become smaller, down to what can still be read.
const LEAST = 0.56;

function fitEquations() {
  for (const equation of document.querySelectorAll('mjx-container[display="true"]')) {
    equation.style.fontSize = "";
    const room = equation.clientWidth / equation.scrollWidth;
    if (room < 1) equation.style.fontSize = `${100 * Math.max(0.99 * room, LEAST)}%`;
  }
}

addEventListener("load", () => {
  const ready = window.MathJax?.startup?.promise;
  if (ready) ready.then(fitEquations);
});
addEventListener("resize", fitEquations);
addEventListener("toggle", fitEquations, true);  // what was folded had no width until now
