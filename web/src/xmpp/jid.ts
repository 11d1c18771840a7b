/**
 * JIDs as the server writes them: already prepared (RFC 7622), so that comparing strings is enough.
 * What a person types goes through prepare(), and the server has the last word.
 */
export function bare(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? jid : jid.slice(0, slash);
}
export function resource(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? '' : jid.slice(slash + 1);
}
export function local(jid: string): string {
  const b = bare(jid);
  const at = b.indexOf('@');
  return at < 0 ? '' : b.slice(0, at);
}
export function domain(jid: string): string {
  const b = bare(jid);
  return b.slice(b.indexOf('@') + 1);
}

/** A typed address: "bob" becomes bob@home. '' if it can't be one (RFC 7622 §3.3.1 forbids these). */
export function prepare(typed: string, home: string): string {
  const s = typed
    .trim()
    .replace(/^xmpp:/i, '')
    .normalize('NFC')
    .toLowerCase();
  if (!s) return '';
  const full = s.includes('@') ? s : `${s}@${home}`;
  return /^[^\s"&'/:<>@]{1,1023}@[^\s@/<>&'"]{1,1023}$/.test(full) ? full : '';
}
