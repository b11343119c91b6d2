(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const paintTheme = () => { root.dataset.theme = chosen ?? (system.matches ? "dark" : "light"); };
  system.addEventListener("change", paintTheme);
  paintTheme();

  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      paintTheme();
    });
    document.querySelectorAll(".plot[data-chart]").forEach(readChart);
    const scatters = [...document.querySelectorAll(".scatter")];
    const place = () => scatters.forEach(placeNames);
    place();
    addEventListener("resize", place);
    document.querySelectorAll("details").forEach((d) => d.addEventListener("toggle", place));
    document.querySelectorAll("[data-sort]").forEach(sortBars);
    document.querySelectorAll(".pictures img").forEach((image) => image.addEventListener("click", () => zoom(image)));
  });

  function zoom(image) {
    const dialog = document.createElement("dialog");
    dialog.className = "zoom";
    dialog.append(image.cloneNode());
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  function number(value) {
    const size = Math.abs(value);
    if (size && size < 0.001) return value.toExponential(2);
    return size >= 1000 ? value.toLocaleString("en") : String(+value.toPrecision(4));
  }

  function readChart(plot) {
    const { series, x_label: xLabel, unit } = JSON.parse(plot.dataset.chart);
    const cursor = document.createElement("div");
    const tip = document.createElement("div");
    cursor.className = "cursor";
    tip.className = "tip";
    cursor.hidden = tip.hidden = true;
    plot.append(cursor, tip);
    const hide = () => { cursor.hidden = tip.hidden = true; };
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const at = (100 * (event.clientX - box.left)) / box.width;
      let left = null;
      for (const one of series) for (const point of one.points) if (left === null || Math.abs(point[0] - at) < Math.abs(left - at)) left = point[0];
      const rows = series.map((one) => {
        const point = one.points.reduce((best, p) => (best === null || Math.abs(p[0] - left) < Math.abs(best[0] - left) ? p : best), null);
        return point && Math.abs(point[0] - left) < 3 ? { name: one.name, color: one.color, point } : null;
      }).filter(Boolean).sort((a, b) => b.point[3] - a.point[3]);
      if (!rows.length) return hide();
      tip.replaceChildren();
      const head = document.createElement("div");
      head.className = "soft";
      head.textContent = `${xLabel} ${number(rows[0].point[2])}`;
      tip.append(head);
      for (const row of rows.slice(0, 12)) {
        const line = document.createElement("div");
        const mark = document.createElement("i");
        mark.style.background = `var(--c${row.color})`;
        line.append(mark, `${row.name}  ${number(row.point[3])}${unit}`);
        tip.append(line);
      }
      cursor.hidden = tip.hidden = false;
      cursor.style.left = `${left}%`;
      const wanted = (left / 100) * box.width + 12;
      const most = document.documentElement.clientWidth - box.left - tip.offsetWidth - 8;
      tip.style.left = `${Math.max(-box.left + 8, wanted > most ? (left / 100) * box.width - tip.offsetWidth - 12 : wanted)}px`;
    });
  }

  // Labels stand beside their points where there is room; a name without room is left to the tooltip.
  function placeNames(plot) {
    const box = plot.getBoundingClientRect();
    if (!box.width) return;
    const taken = [...plot.querySelectorAll(".dot")].map((dot) => dot.getBoundingClientRect());
    for (const name of plot.querySelectorAll(".name")) {
      const left = (name.dataset.left / 100) * box.width;
      const top = (name.dataset.top / 100) * box.height;
      const [w, h] = [name.offsetWidth, name.offsetHeight];
      const spots = [[left + 8, top - h / 2], [left - w - 8, top - h / 2], [left - w / 2, top - h - 7], [left - w / 2, top + 7], [left + 6, top - h - 4], [left + 6, top + 4], [left - w - 6, top - h - 4], [left - w - 6, top + 4]];
      const free = spots.find(([x, y]) => x >= 0 && x + w <= box.width && y >= 0 && y + h <= box.height && !taken.some((r) => x + box.left < r.right && x + box.left + w > r.left && y + box.top < r.bottom && y + box.top + h > r.top));
      name.style.visibility = free ? "visible" : "hidden";
      if (!free) { name.style.left = name.style.top = "0"; continue; }
      name.style.left = `${free[0]}px`;
      name.style.top = `${free[1]}px`;
      taken.push(new DOMRect(box.left + free[0], box.top + free[1], w, h));
    }
  }

  function sortBars(button) {
    const bars = document.getElementById(button.dataset.sort);
    const rows = [...bars.querySelectorAll(".row")];
    button.addEventListener("click", () => {
      const sorted = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", sorted);
      const value = (row) => (row.dataset.value === "" ? -1 : +row.dataset.value);
      bars.append(...(sorted ? [...rows].sort((a, b) => value(b) - value(a)) : rows));
    });
  }
})();
