package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// Locale is the key of the locale.
const Locale = "locale"

var locale = Integration{
	Key: Locale, What: "the locale",
	How: "`LANG` and `LC_*`; a locale that an image with glibc lacks is generated once, at the start or when the first " +
		"session asks for it, if the image or the host has the sources",
	Isolated: true,
	Variables: []string{
		"LANG", "LANGUAGE", "LC_ADDRESS", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
		"LC_MONETARY", "LC_NAME",
		"LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME",
	},
	Setup: func(f *Facts, c *boxinit.Config) { c.Locales = f.Locales() },
}

// LocaleVariables are the variables that hold the name of a locale, locale(7). LANGUAGE
// holds languages, and needs no locale.
func LocaleVariables() []string {
	var out []string
	for _, name := range locale.Variables {
		if name != "LANGUAGE" {
			out = append(out, name)
		}
	}
	return out
}
