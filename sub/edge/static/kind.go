package static

import "strings"

// kinds are the types of files by extension: stated here, as those of the
// system differ from server to server.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".xhtml": "application/xhtml+xml",
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".txt": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".xml": "text/xml; charset=utf-8", ".atom": "application/atom+xml", ".rss": "application/rss+xml",
	".ics": "text/calendar; charset=utf-8", ".vcf": "text/vcard; charset=utf-8", ".vtt": "text/vtt; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".webp": "image/webp", ".avif": "image/avif", ".jxl": "image/jxl", ".ico": "image/x-icon", ".bmp": "image/bmp",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac",
	".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf", ".eot": "application/vnd.ms-fontobject",
	".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar",
	".zst": "application/zstd", ".br": "application/octet-stream", ".wasm": "application/wasm", ".rtf": "application/rtf",
}

// kindOf is the Content-Type of a file by its name.
func kindOf(name string) string {
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		if kind, ok := kinds[strings.ToLower(name[dot:])]; ok {
			return kind
		}
	}
	return "application/octet-stream"
}
