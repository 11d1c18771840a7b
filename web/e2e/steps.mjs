// What the steps of all journeys share.
import assert from 'node:assert/strict';

export const always = (fn) => Object.assign(fn, { always: true });
export const dark = (page, on) =>
  page.evaluate(async (d) => {
    document.documentElement.dataset.theme = d ? 'dark' : 'light';
    for (let i = 0; i < 3; i++) await new Promise((r) => requestAnimationFrame(r));
  }, on);
export const none = (list) => assert.deepEqual(list, []);
export const bodies = (page) =>
  page.locator('article .body').evaluateAll((els) =>
    els.map((e) => {
      const copy = e.cloneNode(true);
      copy.querySelector('.meta')?.remove();
      return copy.textContent;
    }),
  );
export const eventually = async (what, check, limit = 10_000) => {
  const end = Date.now() + limit;
  let last;
  for (;;) {
    try {
      return await check();
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`${what}: ${last.message}`);
    await new Promise((r) => setTimeout(r, 50));
  }
};
