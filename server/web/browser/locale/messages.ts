import type en from '../i18n/en.ts';

/** Forms by plural category of the language (Intl.PluralRules); `{count}` stands for the formatted number. */
export type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

type Widened<T> = { readonly [K in keyof T]: T[K] extends string ? string : Plural };

/** What every language file must hold; English is the model, so a missing or surplus key is a type error. */
export type Messages = Widened<typeof en>;

type KeysOf<V> = { [K in keyof Messages]: Messages[K] extends V ? K : never }[keyof Messages];
export type TextKey = KeysOf<string>;
export type PluralKey = Exclude<keyof Messages, TextKey>;
