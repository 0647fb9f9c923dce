// What a page does beside being read: keys, colours, and going on as one scrolls. Without it links lead to the same places.
"use strict";
(() => {
  const byId = id => document.getElementById(id);
  const root = document.documentElement;

  // Colours: those of the system, until one is chosen.
  const theme = byId("theme");
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  const turn = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    document.cookie = `aral-store-theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
    name();
  };
  theme.hidden = false;
  theme.addEventListener("click", turn);
  name();

  // What is wider than its place can be scrolled by keys, too.
  const reachable = within => {
    for (const wide of within.querySelectorAll("pre, .wide")) {
      if (!wide.hasAttribute("tabindex")) {
        wide.tabIndex = 0;
      }
    }
  };
  reachable(document);

  // Going on: the next piece is fetched when its place comes near. After so many, a link leads on, so that no page grows for ever.
  const MOST_PIECES = 30;
  let pieces = 1;
  const items = byId("items");
  const take = (html, before) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    const there = new Set([...items.querySelectorAll("article, .action[id]")].map(item => item.id));
    for (const item of template.content.querySelectorAll("article, .action[id]")) {
      if (there.has(item.id)) {
        // Ids may be used twice, but not twice in a page's addresses.
        item.removeAttribute("id");
      }
    }
    reachable(template.content);
    items.insertBefore(template.content, before);
  };
  const goOn = async more => {
    if (more.dataset.busy || pieces >= MOST_PIECES) {
      return;
    }
    more.dataset.busy = "1";
    try {
      const answer = await fetch(more.querySelector("a").dataset.part);
      if (answer.ok) {
        take(await answer.text(), more);
        more.remove();
        pieces += 1;
        watch();
        connect();
        return;
      }
    } catch (error) {
      // The link is still there.
    }
    delete more.dataset.busy;
  };
  const watcher = new IntersectionObserver(
    seen => seen.filter(entry => entry.isIntersecting).forEach(entry => goOn(entry.target)),
    { rootMargin: "1200px" },
  );
  const watch = () => {
    watcher.disconnect();
    const more = byId("more");
    if (more) {
      watcher.observe(more);
    }
  };
  if (items) {
    watch();
  }

  // Live: what is written while this is looked at. Each event has a number, so that none is shown twice.
  const MOST_ITEMS = 5000;
  const live = byId("live");
  let source = null;
  let seen = 0;
  const say = (text, isOn) => {
    live.textContent = text;
    live.classList.toggle("on", isOn);
  };
  const stale = () => { byId("stale").hidden = false; };
  // What is there by now is not what the forms are about.
  const outdate = () => {
    for (const form of document.querySelectorAll(".change form")) {
      form.hidden = true;
    }
    for (const note of document.querySelectorAll(".gone-on")) {
      note.hidden = false;
    }
  };
  const isNear = element => element.getBoundingClientRect().top < innerHeight + 80;
  const ways = {
    item: (html, end) => {
      const wasNear = isNear(end);
      byId("nothing")?.remove();
      take(html, end);
      end.previousElementSibling.classList.add("new");
      if (items.querySelectorAll(":scope > article, :scope > .action").length > MOST_ITEMS) {
        // A page that stays open must not grow for ever; what it shows is where it was.
        location.replace(`${location.pathname}${location.search.replace(/&(from|act|message|place)=[^&]*/g, "")}&from=end`);
      } else if (wasNear) {
        live.scrollIntoView({ block: "end" });
      }
    },
    edited: html => {
      const template = document.createElement("template");
      template.innerHTML = html;
      const now = template.content.firstElementChild;
      // The last one of this id is meant.
      const then = [...items.children].filter(item => item.id === now.id).pop();
      if (then) {
        reachable(template.content);
        then.replaceWith(now);
      }
    },
    stale,
  };
  const disconnect = () => {
    source?.close();
    source = null;
  };
  const connect = () => {
    const end = items && byId("end");
    if (!end || !items.dataset.tail || source || document.hidden) {
      return;
    }
    seen = Math.max(seen, Number(end.dataset.seq));
    source = new EventSource(`${items.dataset.tail}&after=${seen}`);
    source.onopen = () => say("Live: what is written shows up here", true);
    source.onerror = () => {
      say("The viewer is away; trying again", false);
      if (source?.readyState === EventSource.CLOSED) {
        disconnect();
        setTimeout(connect, 3000);
      }
    };
    for (const [kind, act] of Object.entries(ways)) {
      source.addEventListener(kind, event => {
        const number = Number(event.lastEventId);
        if (number > seen) {
          seen = number;
          outdate();
          act(event.data, byId("end"));
        } else if (kind === "stale") {
          outdate();
          stale();
        }
      });
    }
  };
  // A browser has six connections for all pages of a site; one that nobody sees needs none.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  connect();

  // The slider over time goes where it is let go.
  const time = byId("time");
  if (time) {
    const form = time.closest("form");
    form.querySelector("button").hidden = true;
    time.addEventListener("input", () => { form.querySelector("output").textContent = `${time.value} of ${time.max}`; });
    time.addEventListener("change", () => form.requestSubmit());
  }

  // Keys.
  const keys = byId("keys");
  const help = byId("help");
  help.hidden = false;
  help.addEventListener("click", () => keys.showModal());
  const stops = () => [...document.querySelectorAll("#items > article, #items > .action, .list > li, .hits > li")];
  let here = null;
  const step = by => {
    const all = stops();
    if (all.length === 0) {
      return;
    }
    let at = all.indexOf(here);
    if (at < 0) {
      // From what is in view.
      at = all.findIndex(stop => stop.getBoundingClientRect().bottom > 70) - (by > 0 ? 1 : 0);
    }
    go(all[Math.min(Math.max(at + by, 0), all.length - 1)]);
  };
  const go = stop => {
    if (here) {
      here.classList.remove("here");
    }
    here = stop;
    here.classList.add("here");
    here.scrollIntoView({ block: "nearest" });
    const target = here.querySelector("a, summary") || here;
    target.focus({ preventScroll: true });
  };
  let isAfterG = false;
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
      return;
    }
    const inField = event.target.closest("input, select, textarea");
    if (event.key === "Escape") {
      if (inField) {
        event.target.blur();
      }
      if (here) {
        here.classList.remove("here");
        here = null;
      }
      return;
    }
    if (inField || keys.open) {
      return;
    }
    const wasAfterG = isAfterG;
    isAfterG = false;
    const does = {
      j: () => step(1),
      k: () => step(-1),
      "/": () => { const field = document.querySelector(".bar input"); field.focus(); field.select(); },
      g: () => {
        if (wasAfterG) { scrollTo(0, 0); here = null; } else { isAfterG = true; }
      },
      G: () => { const all = stops(); if (all.length) { go(all[all.length - 1]); } },
      h: () => { if (wasAfterG) { location.href = "/"; } },
      t: turn,
      "?": () => keys.showModal(),
    };
    if (Object.hasOwn(does, event.key)) {
      event.preventDefault();
      does[event.key]();
    }
  });
})();
