// What contacts are on, told by clients that are none of ours (XEP-0115, HARDENING I8).
import { arrive } from './device.mjs';

const CAROL = 'carol@acme.test';

export function* devices({ c2s, assert }, alice) {
  yield [
    'a contact on a phone is marked as such, and a false hash does not decide it for her kind of client',
    async () => {
      const seen = await alice.row('carol').evaluateHandle((el) => {
        const shapes = [];
        new MutationObserver(() => shapes.push(el.querySelector('[data-shape]').dataset.shape)).observe(el, {
          subtree: true,
          childList: true,
          attributes: true,
        });
        return shapes;
      });
      // Bob has a second device that has the hash of Carol's phone and says that it is no phone.
      const liar = await arrive(c2s, 'bob@acme.test/liar', 'pc', 'Liar', ['phone', 'Pocket']);
      const phone = await arrive(c2s, `${CAROL}/pocket`, 'phone', 'Pocket');
      await alice.presenceOf('carol', 'phone');
      await alice.openWith('carol');
      await alice.page.locator('header [data-shape=phone]').waitFor();
      await alice.row('carol').getByText('on the phone').waitFor({ state: 'attached' });
      await alice.shot('phone-mark');
      await liar.leave();

      const desk = await arrive(c2s, `${CAROL}/desk`, 'pc', 'Desk');
      await alice.presenceOf('carol', 'available');
      await alice.shot('phone-mark-desktop-beside');
      await desk.leave();
      await alice.presenceOf('carol', 'phone');
      await phone.leave();
      await alice.presenceOf('carol', 'offline');
      assert.ok((await seen.evaluate((s) => s)).includes('phone'));

      // Another day: her kind of client is known, and Bob's second device is asked in vain.
      const again = await arrive(c2s, `${CAROL}/pocket`, 'phone', 'Pocket');
      await alice.presenceOf('carol', 'phone');
      await again.leave();
      await alice.presenceOf('carol', 'offline');
      await alice.openWith('bob');
    },
  ];
}
