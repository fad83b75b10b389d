"use strict";
// Keeps the page up to date while an order moves. Without JavaScript, the page loads itself again.
async function refresh() {
	if (!document.querySelector("[data-moves]")) return;
	try {
		const response = await fetch(location.href);
		const page = new DOMParser().parseFromString(await response.text(), "text/html");
		for (const part of response.ok ? document.querySelectorAll("[data-part]") : []) {
			const now = page.querySelector(`[data-part="${part.dataset.part}"]`);
			if (now && now.outerHTML !== part.outerHTML) part.replaceWith(now); // a frame that stays is not loaded again
		}
	} catch { /* the line is down: try again */ }
	setTimeout(refresh, 1500);
}
setTimeout(refresh, 1500);
// An order is sent once, however often the button is pressed.
addEventListener("submit", event => { for (const button of event.target.querySelectorAll("button")) button.disabled = true; });
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button")) button.disabled = false; });
