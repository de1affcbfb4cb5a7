// For other people's pages: <script src="https://rooms.example.org/embed.js" data-room="town-hall" async></script>
// puts the small player where the script stands. The page's origin must be on the server's list (http.embedOrigins).
(() => {
	const script = document.currentScript;
	const room = script?.dataset.room;
	if (!script || !room) {
		console.error('embed.js: the script tag needs data-room="…"');
		return;
	}
	const url = new URL(`embed/${encodeURIComponent(room)}`, script.src);
	if (script.dataset.lang) {
		url.searchParams.set('lang', script.dataset.lang);
	}
	const frame = document.createElement('iframe');
	frame.src = url.href;
	frame.title = script.dataset.title ?? 'Live audio';
	frame.allow = 'autoplay; clipboard-write';
	frame.referrerPolicy = 'no-referrer';
	frame.style.cssText = `border:0;width:100%;max-width:${Number(script.dataset.width) || 480}px;height:${Number(script.dataset.height) || 340}px;color-scheme:normal`;
	script.after(frame);
})();
