// Keeps the list as it is in the store while the page is open. The page works without it.
// New rows come out of the page itself, read anew: what a row looks like is known in one place.
"use strict";

const lamp = document.getElementById("lamp");
const lampText = document.getElementById("lamp-text");
const news = document.getElementById("news");
const PAUSE_MS = 2000; // between two readings: a class has many pages open

function light(on) {
  lamp.hidden = false;
  lamp.classList.toggle("on", on);
  lampText.textContent = on ? lamp.dataset.on : lamp.dataset.off;
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = time.textContent;
    time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
  }
}

function rowsOf(root) {
  return new Map([...root.querySelectorAll("#rows > tr")].map((row) => [row.dataset.id, row]));
}

// Takes rows that are gone out and puts new ones in; those that stay keep focus and check marks.
function merge(fresh) {
  const body = document.getElementById("rows");
  const freshBody = fresh.getElementById("rows");
  if (!body || !freshBody) {
    document.getElementById("list").replaceWith(fresh.getElementById("list"));
    localTimes(document.getElementById("list"));
    return;
  }
  const old = rowsOf(document);
  const now = rowsOf(fresh);
  for (const [id, row] of old) {
    if (!now.has(id)) row.remove();
  }
  let place = null;
  for (const [id, row] of now) {
    let here = old.get(id);
    if (!here) {
      here = document.adoptNode(row);
      here.classList.add("new");
      localTimes(here);
      if (place) place.after(here);
      else body.prepend(here);
    }
    place = here;
  }
}

let reading = false;
let wanted = false;

async function readAgain() {
  wanted = true;
  if (reading) return;
  reading = true;
  while (wanted && !document.hidden) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.ok) {
        merge(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch {
      light(false);
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  reading = false;
}

localTimes(document);
const events = new EventSource("/inbox/api/events");
let cutOff = false;
events.onopen = () => {
  light(true);
  if (cutOff) readAgain();
};
events.onerror = () => {
  cutOff = true;
  light(false);
};
events.addEventListener("mail", (event) => {
  const mail = JSON.parse(event.data);
  news.textContent = `${news.dataset.new}: ${mail.subject || mail.mail_from || ""}`;
  readAgain();
});
events.addEventListener("gone", readAgain);
events.addEventListener("missed", readAgain);
document.addEventListener("visibilitychange", () => {
  if (wanted) readAgain();
});
window.addEventListener("pagehide", () => events.close());
