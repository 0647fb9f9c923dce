//! Azure's emulator as the tests speak to it beside the client.
//!
//! Owns the programs for node, which is there wherever the emulator is, that sign what they send.

/// The key of its account, which is the same everywhere.
#[cfg(feature = "cloud")]
pub(crate) const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Sends one request to Azure's emulator, signed: a method, a path, and a body if it puts one.
pub(crate) const SIGNED: &str = r"
const [port, method, path, body] = process.argv.slice(1);
const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const bytes = Buffer.from(body || '');
const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' };
if (body) headers['x-ms-blob-type'] = 'BlockBlob';
const own = Object.keys(headers).sort().map((name) => `${name}:${headers[name]}\n`).join('');
const [plain, query] = path.split('?');
const asked = query ? '\n' + query.replace('=', ':') : '';
const length = bytes.length ? bytes.length : '';
const text = `${method}\n\n\n${length}\n\n\n\n\n\n\n\n\n${own}/devstoreaccount1${plain}${asked}`;
const signature = require('crypto').createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
headers.Authorization = `SharedKey devstoreaccount1:${signature}`;
headers['Content-Length'] = bytes.length;
const request = require('http').request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
    console.log(answer.statusCode);
    answer.resume();
});
request.on('error', () => console.log(0));
request.end(bytes);
";

/// Prints a token of Azure's emulator: the rights, and until when.
#[cfg(feature = "cloud")]
pub(crate) const TOKEN: &str = r"
const [rights, until] = process.argv.slice(1);
const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const text = ['devstoreaccount1', rights, 'b', 'sco', '', until, '', '', '2018-11-09', ''].join('\n');
const sig = require('crypto').createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
console.log(`sv=2018-11-09&ss=b&srt=sco&sp=${rights}&se=${until}&sig=${encodeURIComponent(sig)}`);
";
