/** What stands in a field of a form, without space around it; empty for a field that is not there. */
export const fieldText = (data: FormData, name: string): string => {
	const value = data.get(name);
	return typeof value === 'string' ? value.trim() : '';
};
