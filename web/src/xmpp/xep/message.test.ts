import { describe, expect, it } from 'vitest';
import { parse } from '../xml.ts';
import { chatMessage, parseMessage, parseStamp, unwrapCarbon } from './message.ts';

const ME = 'alice@acme.test/web';
const carbon = (from: string, innerFrom = 'bob@acme.test/x', innerTo = 'alice@acme.test/phone', kind = 'received') =>
  parse(
    `<message xmlns="jabber:client" from="${from}" to="${ME}"><${kind} xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="${innerFrom}" to="${innerTo}" type="chat"><body>hi</body></message></forwarded></${kind}></message>`,
  );

describe('unwrapCarbon', () => {
  it('opens a copy by the own account', () => {
    const got = unwrapCarbon(carbon('alice@acme.test'), ME);
    expect(got?.carbon).toBe('received');
    expect(got?.message.text('body')).toBe('hi');
  });
  it.each(['bob@acme.test', 'alice@acme.test/evil', 'alice@acme.test.evil', 'acme.test', ''])(
    'drops a forgery by %j (XEP-0280 §11, HARDENING I3)',
    (from) => {
      expect(unwrapCarbon(carbon(from), ME)).toBeNull();
    },
  );
  it('drops a copy that does not concern the account', () => {
    expect(unwrapCarbon(carbon('alice@acme.test', 'bob@acme.test/x', 'carol@acme.test'), ME)).toBeNull();
    expect(unwrapCarbon(carbon('alice@acme.test', 'bob@acme.test/x', 'carol@acme.test', 'sent'), ME)).toBeNull();
  });
});

describe('parseMessage', () => {
  it('trusts a stanza-id only by the own archive (XEP-0359 §5)', () => {
    const el = parse(
      '<message xmlns="jabber:client" from="bob@acme.test/x"><body>x</body><stanza-id xmlns="urn:xmpp:sid:0" by="bob@acme.test" id="evil"/><stanza-id xmlns="urn:xmpp:sid:0" by="alice@acme.test" id="7"/></message>',
    );
    expect(parseMessage(el, ME).archiveId).toBe('7');
    el.childNodes.splice(2, 1);
    expect(parseMessage(el, ME).archiveId).toBe('');
  });
  it('reads back what chatMessage writes', () => {
    const got = parseMessage(parse(chatMessage('bob@acme.test', 'id-1', 'a < b').toString()), ME);
    expect(got).toMatchObject({
      id: 'id-1',
      originId: 'id-1',
      body: 'a < b',
      wantsReceipt: true,
      markable: true,
      state: 'active',
      type: 'chat',
    });
  });
});

describe('parseStamp (XEP-0082)', () => {
  it('keeps microseconds', () => {
    expect(parseStamp('2026-11-23T10:00:00.123456Z')).toBeCloseTo(Date.UTC(2026, 10, 23, 10) + 123.456, 3);
  });
  it('knows offsets and refuses nonsense', () => {
    expect(parseStamp('2026-11-23T12:00:00+02:00')).toBe(Date.UTC(2026, 10, 23, 10));
    expect(parseStamp('yesterday')).toBe(0);
  });
});
