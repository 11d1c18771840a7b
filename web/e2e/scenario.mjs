// The story, step by step. Steps build on each other; those marked always are needed by the rest.
import { devices } from './devices.mjs';
import { always, bodies, dark, eventually, none } from './steps.mjs';
import { views } from './views.mjs';

export function* scenario(world) {
  const { browser, trouble, proxy, Person, assert, direct, proxied } = world;
  let alice;
  let bob;
  let tab2;

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

  yield* devices(world, alice);

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

  yield* views(world, alice, bob);
}
