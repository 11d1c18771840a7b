// The story, step by step. Steps build on each other; those marked always are needed by the rest.
export function* scenario({ browser, trouble, proxy, Person, assert, direct, proxied }) {
  let alice;
  let bob;
  let tab2;
  const always = (fn) => Object.assign(fn, { always: true });
  const dark = (page, on) =>
    page.evaluate(async (d) => {
      document.documentElement.dataset.theme = d ? 'dark' : 'light';
      for (let i = 0; i < 3; i++) await new Promise((r) => requestAnimationFrame(r));
    }, on);
  const none = (list) => assert.deepEqual(list, []);
  const bodies = (page) =>
    page.locator('article .body').evaluateAll((els) =>
      els.map((e) => {
        const copy = e.cloneNode(true);
        copy.querySelector('.meta')?.remove();
        return copy.textContent;
      }),
    );
  const eventually = async (what, check, limit = 10_000) => {
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

  yield [
    'sign-in page: axe in light and dark, wrong password is explained',
    always(async () => {
      alice = await Person.arrive(browser, 'alice', proxied, trouble);
      await alice.page.goto(proxied);
      await alice.page.getByRole('heading', { name: /Sign in/ }).waitFor();
      none(await alice.axe('sign-in light'));
      await alice.shot('login-light');
      await dark(alice.page, true);
      none(await alice.axe('sign-in dark'));
      await alice.shot('login-dark');
      await dark(alice.page, false);
      await alice.signIn('wrong');
      await alice.page.getByRole('alert').filter({ hasText: 'do not go together' }).waitFor();
      await alice.shot('login-error');
    }),
  ];

  yield [
    'both sign in and see each other come online',
    always(async () => {
      await alice.signIn();
      await alice.signedIn();
      await alice.row('bob').locator('[data-shape=offline]').waitFor();
      bob = await Person.arrive(browser, 'bob', direct, trouble);
      await bob.signIn();
      await bob.signedIn();
      await alice.presenceOf('bob', 'available');
      await bob.presenceOf('alice', 'available');
    }),
  ];

  yield [
    'chat both ways: unread count, ticks up to read, typing',
    always(async () => {
      await alice.openWith('bob');
      await alice.say('Good morning Bob, is the report ready?');
      await alice.tick('is the report ready', 'delivered');
      await bob
        .row('alice')
        .getByRole('img', { name: /unread message/ })
        .waitFor();
      assert.match(await bob.page.title(), /^\(\d+\) /);
      await bob.openWith('alice');
      await bob.bubble('is the report ready').waitFor();
      await alice.tick('is the report ready', 'read');
      await bob.page.locator('#composer').pressSequentially('Almost. ');
      await alice.page.getByText(/Bob.* is writing/).waitFor();
      await bob.say('Almost. Half an hour, then it is yours: https://example.com/report(1).pdf');
      await alice.bubble('Half an hour').waitFor();
      assert.equal(
        await alice.bubble('Half an hour').locator('a').getAttribute('href'),
        'https://example.com/report(1).pdf',
      );
      await bob.tick('Half an hour', 'read');
    }),
  ];

  yield [
    'a second tab attaches, and each shows what the other says',
    always(async () => {
      tab2 = await alice.context.newPage();
      await tab2.goto(proxied);
      await alice.signedIn(tab2);
      await alice.openWith('bob', tab2);
      await alice.bubble('Half an hour', tab2).waitFor();
      await alice.say('Said in the second tab', tab2);
      await alice.bubble('Said in the second tab').waitFor();
      await bob.bubble('Said in the second tab').waitFor();
      await alice.say('Said in the first tab');
      await alice.bubble('Said in the first tab', tab2).waitFor();
      await alice.tick('Said in the first tab', 'read', tab2);
    }),
  ];

  yield [
    'a cut network: calm words, messages wait, all of it heals, nothing doubled',
    async () => {
      const flaps = await bob.row('alice').evaluateHandle((el) => {
        const seen = [];
        new MutationObserver(() => seen.push(el.querySelector('[data-shape]').dataset.shape)).observe(el, {
          subtree: true,
          childList: true,
          attributes: true,
        });
        return seen;
      });
      proxy.cut();
      await alice.say('Written without a network');
      await alice.tick('Written without a network', 'pending');
      await alice.page.getByText('will be sent when you are online again').waitFor();
      await alice.shot('offline');
      await bob.say('Said while Alice was away');
      proxy.heal();
      await alice.page.evaluate(() => dispatchEvent(new Event('online')));
      await alice.bubble('Said while Alice was away').waitFor();
      await bob.bubble('Written without a network').waitFor();
      await alice.tick('Written without a network', 'read');
      await eventually('each message once', async () => {
        for (const p of [alice.page, tab2, bob.page]) {
          const all = (await bodies(p)).filter((b) => /without a network|Alice was away/.test(b));
          assert.equal(all.length, 2, all.join(' / '));
        }
      });
      const seen = await flaps.evaluate((s) => s.filter((x) => x === 'offline'));
      none(seen); // the session was resumed (XEP-0198): nobody saw Alice go
    },
  ];

  yield [
    'a reload resumes: readable from the cache at once, nobody sees her go',
    async () => {
      await tab2.close();
      const flaps = await bob.row('alice').evaluateHandle((el) => {
        const seen = [];
        new MutationObserver(() => seen.push(el.querySelector('[data-shape]').dataset.shape)).observe(el, {
          subtree: true,
          childList: true,
          attributes: true,
        });
        return seen;
      });
      const start = Date.now();
      await alice.page.reload();
      await alice.bubble('Written without a network').waitFor();
      const readable = Date.now() - start;
      await alice.signedIn();
      const online = Date.now() - start;
      console.log(`     reload: readable after ${readable} ms, online after ${online} ms`);
      assert.ok(readable < 3000, `readable after ${readable} ms`);
      await alice.presenceOf('bob', 'available');
      await bob.say('Still with me?');
      await alice.bubble('Still with me?').waitFor();
      await alice.say('Still here');
      await bob.bubble('Still here').waitFor();
      none(await flaps.evaluate((s) => s.filter((x) => x === 'offline')));
    },
  ];

  yield [
    'the outbox survives closing the page without a network',
    async () => {
      proxy.cut();
      await alice.say('Kept over night');
      await alice.tick('Kept over night', 'pending');
      await alice.page.locator('#composer').fill('half a thought');
      await alice.page.waitForTimeout(300);
      await alice.page.goto('about:blank');
      proxy.heal();
      await alice.page.goto(proxied);
      await bob.bubble('Kept over night').waitFor();
      await alice.tick('Kept over night', 'read');
      assert.equal(await alice.page.locator('#composer').inputValue(), 'half a thought');
      await alice.page.locator('#composer').fill('');
      await eventually('once only', async () => {
        for (const p of [alice.page, bob.page])
          assert.equal((await bodies(p)).filter((b) => b === 'Kept over night').length, 1);
      });
    },
  ];

  yield [
    'drafts stay with their conversation and are marked in the list',
    async () => {
      await alice.page.locator('#composer').fill('to be continued');
      await alice.openWith('carol');
      await alice.row('bob').getByText('Draft').waitFor();
      assert.equal(await alice.page.locator('#composer').inputValue(), '');
      await alice.page.reload();
      await alice.signedIn();
      await alice.openWith('bob');
      assert.equal(await alice.page.locator('#composer').inputValue(), 'to be continued');
      await alice.page.locator('#composer').fill('');
    },
  ];

  yield [
    'own presence and status text reach the others, by shape and word',
    async () => {
      await bob.page.locator('.me').click();
      await bob.page.getByRole('menuitemradio', { name: 'Do not disturb' }).click();
      await alice.presenceOf('bob', 'dnd');
      await bob.page.locator('.me').click();
      await bob.page.getByRole('menuitem', { name: /Status text/ }).click();
      await bob.page.getByLabel('Status text').fill('Writing the report');
      await bob.page.getByRole('button', { name: 'Save' }).click();
      await alice.row('bob').getByText('Writing the report').waitFor();
      await alice.shot('chat-light');
      await bob.page.locator('.me').click();
      await bob.page.getByRole('menuitemradio', { name: 'Away', exact: true }).click();
      await alice.presenceOf('bob', 'away');
      await bob.page.locator('.me').click();
      await bob.page.getByRole('menuitemradio', { name: 'Available' }).click();
      await alice.presenceOf('bob', 'available');
    },
  ];

  yield [
    'a contact request: asked, accepted, seen; declined and removed',
    async () => {
      const dave = await Person.arrive(browser, 'dave', direct, trouble);
      await dave.signIn();
      await dave.page.getByText('Nobody here yet').waitFor();
      await dave.shot('empty');
      await alice.page.getByRole('button', { name: 'Add a contact' }).click();
      await alice.page.getByLabel('Address').fill('dave');
      none(await alice.axe('add a contact'));
      await alice.page.getByRole('button', { name: 'Send request' }).click();
      await dave.page.getByRole('button', { name: 'Accept Alice' }).waitFor();
      none(await dave.axe('a request'));
      await dave.shot('request');
      await dave.page.getByRole('button', { name: 'Accept Alice' }).click();
      await dave.presenceOf('alice', 'available');
      await alice.presenceOf('dave', 'available');
      await alice.say('Welcome, Dave');
      await dave.openWith('alice');
      await dave.bubble('Welcome, Dave').waitFor();
      await alice.page.getByRole('button', { name: 'Details' }).click();
      await alice.page.getByRole('region', { name: /^About/ }).waitFor();
      none(await alice.axe('details'));
      await alice.shot('details');
      await alice.page.getByRole('button', { name: 'Remove contact' }).click();
      await alice.page.getByRole('dialog').getByRole('button', { name: 'Remove contact' }).click();
      await dave.presenceOf('alice', 'offline');
      await alice.page
        .getByRole('region', { name: /^About/ })
        .getByRole('button', { name: 'Close' })
        .click();
      await dave.leave();
    },
  ];

  yield [
    'by keyboard alone: switcher, shortcut sheet, menu; axe with each open, light and dark',
    async () => {
      const p = alice.page;
      for (const on of [false, true]) {
        const look = on ? 'dark' : 'light';
        await dark(p, on);
        await p.keyboard.press('Control+k');
        await p.getByRole('combobox').fill('bo');
        none(await alice.axe(`switcher ${look}`));
        await alice.shot(`switcher-${look}`);
        await p.keyboard.press('Enter');
        await p.getByRole('heading', { name: /^Bob/, level: 1 }).waitFor();
        none(await alice.axe(`chat ${look}`));
        await alice.shot(`chat-${look}-2`);
        await p.locator('.me').focus();
        await p.keyboard.press('?');
        await p.getByRole('dialog').waitFor();
        none(await alice.axe(`shortcuts ${look}`));
        await alice.shot(`shortcuts-${look}`);
        await p.keyboard.press('Escape');
        await p.getByRole('dialog').waitFor({ state: 'detached' });
        await p.locator('.me').focus();
        await p.keyboard.press('Enter');
        await p.getByRole('menu').waitFor();
        none(await alice.axe(`menu ${look}`));
        await alice.shot(`menu-${look}`);
        await p.keyboard.press('Escape');
        await p.getByRole('menu').waitFor({ state: 'detached' });
      }
      await dark(p, false);
      await p.keyboard.press('Alt+ArrowDown');
      await p.getByRole('heading', { name: /^Carol/, level: 1 }).waitFor();
      await p.keyboard.press('Alt+ArrowUp');
      await p.getByRole('heading', { name: /^Bob/, level: 1 }).waitFor();
    },
  ];

  yield [
    'a long conversation: pages in without moving, stays small, follows only at its end',
    async () => {
      for (let i = 1; i <= 160; i++)
        await bob.say(
          `Line ${i} of many${i % 7 ? '' : `, and this one is longer so that rows are not all of one height: ${'word '.repeat(i % 50)}`}`,
        );
      await alice.bubble('Line 160 of many').waitFor();
      const fresh = await Person.arrive(browser, 'alice', direct, trouble);
      await fresh.signIn();
      await fresh.signedIn();
      await fresh.openWith('bob');
      await fresh.page.locator('article').first().waitFor();
      await fresh.page.waitForTimeout(500); // the first sync; it may have opened at what counts as unread
      await fresh.page.locator('#composer').press('Escape');
      await fresh.bubble('Line 160 of many').waitFor();
      const shift = await fresh.page.evaluate(async () => {
        const box = document.querySelector('.scroller');
        // After the frame, not in it: sizes are observed between the two, and only then is it painted.
        const frame = () => new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
        const measured = [];
        const detail = [];
        for (let round = 0; round < 60 && !document.querySelector('.start'); round++) {
          box.scrollBy(0, -300);
          await frame();
          await frame();
          const top = box.getBoundingClientRect().top;
          const el = [...box.querySelectorAll('article')].find((a) => a.getBoundingClientRect().top > top + 20);
          const key = el?.dataset.key;
          const before = el?.getBoundingClientRect().top;
          let worst = 0;
          for (let i = 0; i < 12; i++) {
            await frame();
            const now = box.querySelector(`[data-key="${key}"]`)?.getBoundingClientRect().top;
            if (now !== undefined) worst = Math.max(worst, Math.abs(now - before));
          }
          measured.push(worst);
          if (worst >= 1)
            detail.push(
              `${worst} px at ${el.textContent.trim().slice(0, 24)}, ${before - top} from the top, scrolled to ${box.scrollTop} of ${box.scrollHeight}`,
            );
        }
        return {
          worst: Math.max(...measured),
          detail,
          rounds: measured.length,
          start: !!document.querySelector('.start'),
          nodes: document.querySelectorAll('*').length,
        };
      });
      console.log(
        `     scrolled up ${shift.rounds} times, worst shift ${shift.worst.toFixed(2)} px, ${shift.nodes} nodes, beginning reached: ${shift.start}`,
      );
      assert.ok(shift.start, 'the beginning was reached');
      assert.ok(shift.worst < 1, `shift ${shift.detail.join('; ')}`);
      assert.ok(shift.nodes < 1500, `${shift.nodes} nodes`);
      const before = await fresh.page.locator('.scroller').evaluate((e) => e.scrollTop);
      await bob.say('News at the end');
      await fresh.page.getByRole('button', { name: '1 new message' }).waitFor();
      assert.equal(await fresh.page.locator('.scroller').evaluate((e) => e.scrollTop), before);
      none(await fresh.axe('pill'));
      await fresh.shot('pill');
      await fresh.page.getByRole('button', { name: '1 new message' }).click();
      await fresh.bubble('News at the end').waitFor();
      await bob.tick('News at the end', 'read');
      await fresh.leave();
    },
  ];

  yield [
    'a phone: one column at 320 px, no sideways scrolling',
    async () => {
      const phone = await Person.arrive(browser, 'carol', direct, trouble, {
        viewport: { width: 320, height: 640 },
        hasTouch: true,
        isMobile: true,
      });
      await phone.signIn();
      await phone.signedIn();
      none(await phone.axe('phone list'));
      await phone.shot('phone-list');
      await phone.openWith('alice');
      await phone.say(
        'From my phone, with a rather longlonglonglonglonglonglonglonglonglonglonglonglonglongword in it',
      );
      none(await phone.axe('phone chat'));
      await phone.shot('phone-chat');
      assert.equal(await phone.page.evaluate(() => document.documentElement.scrollWidth), 320);
      await phone.page.getByRole('button', { name: 'Back to people' }).click();
      await phone.row('alice').waitFor();
      await phone.leave();
    },
  ];

  yield [
    'a browser without shared workers: the same client in the page',
    async () => {
      const plain = await Person.arrive(browser, 'erin', direct, trouble);
      await plain.context.addInitScript(() => {
        delete globalThis.SharedWorker;
      });
      await plain.signIn();
      await plain.page.locator('.me [data-shape=available]').waitFor();
      await plain.page.getByRole('button', { name: 'Add a contact' }).first().click();
      await plain.page.getByLabel('Address').fill('bob');
      await plain.page.getByRole('button', { name: 'Send request' }).click();
      await bob.page.getByRole('button', { name: 'Accept Erin' }).click();
      await plain.presenceOf('bob', 'available');
      await plain.say('From a plain page');
      await plain.tick('From a plain page', 'delivered');
      await plain.page.reload();
      await plain.bubble('From a plain page').waitFor();
      await plain.page.locator('.me [data-shape=available]').waitFor();
      await plain.leave();
    },
  ];

  yield [
    'quick: the bubble within a frame or two, another conversation within 100 ms',
    async () => {
      await alice.page.bringToFront(); // a tab behind another paints once a second
      await alice.openWith('carol');
      await alice.openWith('bob');
      const times = await alice.page.evaluate(async () => {
        const paint = () => new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
        const until = async (what) => {
          while (!what()) await paint();
        };
        const type = (text) => {
          const box = document.getElementById('composer');
          box.value = text;
          box.dispatchEvent(new InputEvent('input', { bubbles: true }));
          box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
        };
        const sends = [];
        for (let i = 0; i < 9; i++) {
          const start = performance.now();
          type(`Quick ${i}`);
          await new Promise((r) => queueMicrotask(r));
          while (![...document.querySelectorAll('article')].some((a) => a.textContent.includes(`Quick ${i}`)))
            await new Promise((r) => setTimeout(r));
          sends.push(performance.now() - start);
          await paint();
        }
        const switches = [];
        for (let i = 0; i < 8; i++) {
          const who = i % 2 ? 'bob' : 'carol';
          const start = performance.now();
          document.querySelector(`nav .row[data-jid="${who}@acme.test"]`).click();
          await until(
            () =>
              document.querySelector('h1.truncate')?.textContent.toLowerCase().startsWith(who) &&
              document.querySelector('article'),
          );
          switches.push(performance.now() - start);
        }
        const median = (l) => l.sort((a, b) => a - b)[l.length >> 1];
        return { send: median(sends), change: median(switches) };
      });
      console.log(
        `     bubble in the page after ${times.send.toFixed(1)} ms, other conversation painted after ${times.change.toFixed(1)} ms (medians)`,
      );
      // The goals are 16 and 100 ms; the machine of a test run may be busy, so that only a real slowness fails.
      assert.ok(times.send < 200, `bubble ${times.send} ms`);
      assert.ok(times.change < 500, `switch ${times.change} ms`);
    },
  ];

  yield [
    'compact and dark, to look at',
    async () => {
      await alice.page.evaluate(() => {
        localStorage.setItem('parlance.theme', 'dark');
        localStorage.setItem('parlance.density', 'compact');
      });
      await alice.page.reload();
      await alice.signedIn();
      await alice.openWith('bob');
      await alice.shot('chat-dark-compact');
    },
  ];

  yield [
    'signing out forgets the account here and the others see it',
    async () => {
      await alice.page.locator('.me').click();
      await alice.page.getByRole('menuitem', { name: 'Sign out' }).click();
      await alice.page.getByRole('heading', { name: /Sign in/ }).waitFor();
      await bob.presenceOf('alice', 'offline');
      await eventually('no archive left behind', async () =>
        none((await alice.page.evaluate(() => indexedDB.databases())).filter((d) => d.name.startsWith('parlance:'))),
      );
      await alice.page.reload();
      await alice.page.getByRole('heading', { name: /Sign in/ }).waitFor();
    },
  ];

  yield ['no error, no CSP violation, no request to anywhere else', async () => none(trouble)];
}
