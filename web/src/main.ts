/** The page's first lines: who signed in here last goes straight to the chat, anybody else signs in. */
import './kit/base.css';
import type { Token } from './im/link.ts';
import { account, applyLook, followSystemTheme } from './platform/prefs.ts';

applyLook();
followSystemTheme();

const root = document.getElementById('app')!;
const loadChat = () => import('./ui/chat.ts');

async function showChat(jid: string, token: Token | null): Promise<void> {
  account.set(jid);
  const { startChat } = await loadChat();
  root.replaceChildren();
  startChat(root, jid, token, () => void showLogin());
}

async function showLogin(): Promise<void> {
  const { startLogin } = await import('./ui/login.ts');
  root.replaceChildren();
  startLogin(root, (token) => void showChat(token.jid, token));
  // While the person types, the chat comes into the cache.
  setTimeout(() => void loadChat(), 300);
}

const known = account.get();
void (known ? showChat(known, null) : showLogin());
