/**
 * In a user's click: an element that has once begun to play then may play anything later, with no further click.
 * @param track anything; nothing of it is heard
 */
export const unlock = (element: HTMLMediaElement, track: MediaStreamTrack): void => {
	const stream = new MediaStream([track]);
	element.muted = true;
	element.srcObject = stream;
	element
		.play()
		.catch(() => undefined)
		.finally(() => {
			// Only what has begun to play counts; by now it may play something else.
			if (element.srcObject === stream) {
				element.srcObject = null;
			}
		});
};
