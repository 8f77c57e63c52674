// Package image holds the commands below tbx image.
package image
