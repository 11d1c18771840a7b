/** The HTTPS session: a password once, then short tokens by cookie. The client never keeps a password. */
import type { Token } from '../im/link.ts';

export class LoginError extends Error {
  constructor(
    /** The problem's code: bad-credentials, account-disabled, slow-down, bad-origin; '' = unreachable. */
    readonly code: string,
    /** Seconds to wait, 0 if the server did not say. */
    readonly retryAfter: number,
  ) {
    super(code || 'unreachable');
  }
}

interface SessionBody {
  jid: string;
  token: string;
  expires_in: number;
}

function toToken(body: SessionBody): Token {
  return { jid: body.jid, token: body.token, expires: Date.now() + body.expires_in * 1000 };
}

/** The server's clock minus ours, ms; noticed on every answer, good to about a second. */
let skew = 0;
export function serverNow(): number {
  return Date.now() + skew;
}
function noticeClock(res: Response): void {
  const date = Date.parse(res.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  const off = date + 500 - Date.now();
  skew = Math.abs(off) > 2_000 ? off : 0;
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const res = await fetch(path, {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  noticeClock(res);
  return res;
}

export async function login(user: string, password: string): Promise<Token> {
  let res: Response;
  try {
    res = await call('POST', '/api/v1/session', { user, password });
  } catch {
    throw new LoginError('', 0);
  }
  if (res.ok) return toToken((await res.json()) as SessionBody);
  const problem = (await res.json().catch(() => ({}))) as { code?: string };
  throw new LoginError(problem.code ?? '', Number.parseInt(res.headers.get('retry-after') ?? '', 10) || 0);
}

/** A fresh token by the cookie. Rejects when the server can't be reached. */
export async function freshToken(): Promise<Token | 'no-session'> {
  const res = await call('POST', '/api/v1/token');
  if (res.ok) return toToken((await res.json()) as SessionBody);
  if (res.status === 401 || res.status === 403) return 'no-session';
  throw new Error(`token: ${res.status}`);
}

export async function logout(): Promise<void> {
  await call('DELETE', '/api/v1/session').catch(() => undefined); // offline: the cookie dies by itself
}

export async function serverName(): Promise<{ domain: string; name: string; version: string } | null> {
  const res = await call('GET', '/api/v1/info').catch(() => null);
  return res?.ok ? ((await res.json()) as { domain: string; name: string; version: string }) : null;
}
