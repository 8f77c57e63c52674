// Package bytesize writes numbers of bytes for people.
package bytesize

import "fmt"

// Text writes n bytes in powers of ten, with one decimal: "512 B", "1.5 MB".
func Text(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit && exp < 4; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %cB", float64(n)/float64(div), "kMGTP"[exp])
}
