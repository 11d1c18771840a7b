/** Namespaces, by the specification that registers them. */
export const NS = {
  client: 'jabber:client',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas', // RFC 6120 §8.3
  roster: 'jabber:iq:roster', // RFC 6121 §2
  discoInfo: 'http://jabber.org/protocol/disco#info', // XEP-0030
  discoItems: 'http://jabber.org/protocol/disco#items',
  rsm: 'http://jabber.org/protocol/rsm', // XEP-0059
  chatstates: 'http://jabber.org/protocol/chatstates', // XEP-0085
  version: 'jabber:iq:version', // XEP-0092
  caps: 'http://jabber.org/protocol/caps', // XEP-0115
  nick: 'http://jabber.org/protocol/nick', // XEP-0172
  receipts: 'urn:xmpp:receipts', // XEP-0184
  ping: 'urn:xmpp:ping', // XEP-0199
  delay: 'urn:xmpp:delay', // XEP-0203
  carbons: 'urn:xmpp:carbons:2', // XEP-0280
  forward: 'urn:xmpp:forward:0', // XEP-0297
  mam: 'urn:xmpp:mam:2', // XEP-0313
  markers: 'urn:xmpp:chat-markers:0', // XEP-0333
  hints: 'urn:xmpp:hints', // XEP-0334
  forms: 'jabber:x:data', // XEP-0004
  sid: 'urn:xmpp:sid:0', // XEP-0359
} as const;
