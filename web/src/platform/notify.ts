/** Desktop notifications: only when nobody is looking, one per conversation. */
export function canAsk(): boolean {
  return typeof Notification !== 'undefined' && Notification.permission === 'default';
}
export async function ask(): Promise<void> {
  if (canAsk()) await Notification.requestPermission();
}
export function notify(title: string, body: string, tag: string, clicked: () => void): void {
  if (typeof Notification === 'undefined' || Notification.permission !== 'granted') return;
  if (document.visibilityState === 'visible' && document.hasFocus()) return;
  const n = new Notification(title, { body: body.slice(0, 200), tag });
  n.onclick = () => {
    window.focus();
    n.close();
    clicked();
  };
}
