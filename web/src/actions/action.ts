/** An action is a record: what it is called, which keys it has, what it does. The shortcut sheet is made from them. */
import type { App } from '../view/app.svelte.ts';

export interface Action {
  id: string;
  title: () => string;
  /** "Mod" is Ctrl, or Cmd on a Mac. */
  keys: string[];
  /** Works while the caret is in a text field. */
  inText: boolean;
  run: (app: App) => void;
}

export const isMac = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform);

export function keysOf(e: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>): string {
  const key = e.key.length === 1 ? e.key.toUpperCase() : e.key;
  const mod = isMac ? e.metaKey : e.ctrlKey;
  // Shift is part of what "?" is; with a named key it counts.
  const shift = e.shiftKey && (e.key.length > 1 || /[a-z]/i.test(e.key));
  return [mod && 'Mod', e.altKey && 'Alt', shift && 'Shift', key].filter(Boolean).join('+');
}

const NAMES: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };

export function showKeys(keys: string): string[] {
  return keys.split('+').map((k) => (k === 'Mod' ? (isMac ? '⌘' : 'Ctrl') : (NAMES[k] ?? k)));
}
