/** Small settings of this browser. Never anything secret, never a message. */
export type Theme = 'system' | 'light' | 'dark';
export type Density = 'cosy' | 'compact';

const PREFIX = 'parlance.';

function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null; // storage can be forbidden: then settings last as long as the page
  }
}
function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // see read
  }
}

/** The account that signed in here last: opens from its cache before the server is asked. */
export const account = { get: () => read('account') ?? '', set: (jid: string | null) => write('account', jid) };
export const lastPeer = { get: () => read('peer') ?? '', set: (jid: string | null) => write('peer', jid) };
export const theme = {
  get: (): Theme => (['light', 'dark'].includes(read('theme') ?? '') ? (read('theme') as Theme) : 'system'),
  set: (t: Theme) => {
    write('theme', t === 'system' ? null : t);
    applyLook();
  },
};
export const density = {
  get: (): Density => (read('density') === 'compact' ? 'compact' : 'cosy'),
  set: (d: Density) => {
    write('density', d === 'cosy' ? null : d);
    applyLook();
  },
};

/** Puts theme and density on the root element, where the tokens look for them. */
export function applyLook(): void {
  const root = document.documentElement;
  const t = theme.get();
  const dark = t === 'dark' || (t === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset.theme = dark ? 'dark' : 'light';
  root.dataset.density = density.get();
}
export function followSystemTheme(): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', applyLook);
}
