(() => {
  addEventListener("DOMContentLoaded", () => {
    const dialog = document.querySelector("dialog.viewer");
    const viewer = makeViewer(dialog);
    const albums = [...document.querySelectorAll(".album")].map((box) => readAlbum(box, viewer));
    const lead = (event) => {
      const from = event.target.closest("[data-list]");
      const album = from && albums.find((one) => from.dataset.list in one.lists);
      if (album) { event.preventDefault(); viewer.open(album, from.dataset.list, 0); }
    };
    document.addEventListener("click", lead);
    document.addEventListener("keydown", (event) => { if (event.target.matches?.("td[data-list]") && (event.key === "Enter" || event.key === " ")) lead(event); });
  });

  function readAlbum(box, viewer) {
    const album = JSON.parse(box.querySelector("script").textContent);
    album.shots = [...box.querySelectorAll(".shot")];
    const [shots, select] = [box.querySelector(".shots"), box.querySelector("select")];
    const buttons = [...box.querySelectorAll(".segments button")];
    const showList = () => {
      const { items } = album.lists[select.value];
      album.shots.forEach((shot) => { shot.hidden = true; });
      for (const [place, note] of items) {
        album.shots[place].hidden = false;
        album.shots[place].querySelector("figcaption .soft").textContent = note || album.images[place].note;
        shots.append(album.shots[place]);
      }
    };
    const showLayer = (layer) => {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === layer));
      for (const stack of box.querySelectorAll(".stack")) {
        stack.className = `stack ${album.layers[layer].kind}`;
        stack.querySelectorAll("[data-layer]:not(.photo)").forEach((part) => { part.hidden = +part.dataset.layer !== layer; });
      }
      box.querySelectorAll(".wide-legend [data-kind]").forEach((entry) => { entry.hidden = entry.dataset.kind !== album.layers[layer].kind; });
    };
    select.addEventListener("change", showList);
    buttons.forEach((button, i) => button.addEventListener("click", () => showLayer(i)));
    album.shots.forEach((shot, place) => shot.querySelector(".look").addEventListener("click", () => {
      viewer.open(album, select.value, album.lists[select.value].items.findIndex(([other]) => other === place));
    }));
    showList();
    showLayer(buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true"));
    return album;
  }

  function makeViewer(dialog) {
    const get = (name) => dialog.querySelector(name);
    const [stage, slider, stops] = [get(".stage"), get("input"), get(".stops")];
    const state = { album: null, key: "", at: 0, value: 2, through: false };
    const last = () => state.album.layers.length - 1;

    function open(album, key, at) {
      if (state.album !== album) {
        state.album = album;
        state.value = Math.min(state.value, last());
        stops.replaceChildren(...album.layers.map((layer, i) => {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = button.title = layer.name;
          button.addEventListener("click", () => move(i));
          return button;
        }));
        slider.max = last();
        get(".layers").style.setProperty("--stops", album.layers.length);
        get(".last").textContent = Math.min(9, album.layers.length);
      }
      Object.assign(state, { key, at });
      render();
      dialog.showModal();
    }

    function move(value) {
      state.value = Math.min(Math.max(value, 0), last());
      render();
    }

    function step(by) {
      const { length } = state.album.lists[state.key].items;
      state.at = (state.at + by + length) % length;
      render();
    }

    function fill(stack, shot, layer) {
      if (!stack.querySelector("img")) {
        stack.prepend(...["photo", "over"].map((name) => Object.assign(document.createElement("img"), { className: name })));
        stack.firstChild.addEventListener("load", (event) => { stage.style.setProperty("--aspect", event.target.naturalWidth / event.target.naturalHeight); });
      }
      const [photo, over] = stack.querySelectorAll("img");
      const shown = shot.querySelector(`img[data-layer="${layer}"]`);
      const base = shot.querySelector("img.photo");
      stack.className = `stack ${stack.classList.contains("top") ? "top" : "under"} ${state.album.layers[layer].kind}`;
      for (const [image, from] of [[photo, base], [over, layer ? shown : null]]) {
        image.hidden = !from;
        if (from && image.src !== from.src) image.src = from.src;
        image.alt = from ? from.alt : "";
      }
      stack.querySelector(".gone").hidden = Boolean(shown);
      stack.querySelector(".gone").textContent = `no picture of ${state.album.layers[layer].name}`;
    }

    function render() {
      const { album, key, at, value } = state;
      const { title, items } = album.lists[key];
      const [place, note] = items[at];
      const under = Math.min(Math.floor(value), last());
      const share = value - under;
      const top = Math.min(under + 1, last());
      fill(get(".under"), album.shots[place], under);
      fill(get(".top"), album.shots[place], top);
      get(".top").style.clipPath = `inset(0 ${100 - 100 * share}% 0 0)`;
      get(".edge").style.left = `${100 * share}%`;
      get(".edge").hidden = !share;
      get(".left").textContent = album.layers[share ? top : under].name;
      get(".right").textContent = album.layers[under].name;
      get(".right").hidden = !share;
      stage.classList.toggle("through", state.through);
      get(".list").textContent = title;
      get(".count").textContent = `${at + 1} of ${items.length}`;
      get(".file").textContent = album.images[place].title;
      get(".note").textContent = [note, album.images[place].note].filter(Boolean).join("; ");
      slider.value = value;
      [...stops.children].forEach((button, i) => button.setAttribute("aria-pressed", i === under || (share > 0 && i === top)));
      const kinds = new Set([under, ...(share ? [top] : [])].map((layer) => album.layers[layer].kind));
      const meanings = album.legend.filter((entry, i) => kinds.has(entry.kind) && album.images[place].present.includes(i));
      const named = new Map(meanings.map((entry) => [`${entry.name} ${entry.color}`, entry]));
      get(".legend").replaceChildren(...[...named.values()].map((entry) => {
        const [box, mark] = [document.createElement("span"), document.createElement("i")];
        mark.style.background = entry.color;
        box.append(mark, entry.name);
        return box;
      }));
    }

    function drag(event) {
      const box = stage.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      move(state.pair + Math.min(share, 0.999));
    }

    stage.addEventListener("pointerdown", (event) => {
      state.pair = Math.min(Math.floor(state.value), last() - 1);
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) drag(event); });
    slider.addEventListener("input", () => move(+slider.value));
    get(".previous").addEventListener("click", () => step(-1));
    get(".next").addEventListener("click", () => step(1));
    get(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const actions = {
        ArrowLeft: () => step(-1),
        ArrowRight: () => step(1),
        ArrowUp: () => move(Math.ceil(state.value) - 1),
        ArrowDown: () => move(Math.floor(state.value) + 1),
        o: () => { state.through = !state.through; render(); },
      };
      const act = actions[event.key] ?? (event.key >= "1" && event.key <= String(Math.min(9, last() + 1)) ? () => move(event.key - 1) : null);
      if (act) { event.preventDefault(); act(); }
    });
    return { open };
  }
})();
