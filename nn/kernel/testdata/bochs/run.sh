#!/usr/bin/env bash
# Runs tests of nn/kernel on an emulated processor with AVX-512, for machines that have none: a Linux
# kernel and a static test binary in Bochs, without network or disk. On Debian it installs what it needs
# (bochs, isolinux, xorriso, cpio) and unpacks a kernel image beside its other files. Bochs executes some
# 40 million instructions a second: the boot takes 20 seconds of processor time, the tests below a minute.
#
#   bash nn/kernel/testdata/bochs/run.sh                          # the tests named below
#   bash nn/kernel/testdata/bochs/run.sh -test.run='^TestUse$'    # other arguments of the test binary
#
# VMLINUZ may name a kernel image to use; WORK a folder for what is built, kept from run to run.
set -euo pipefail
cd "$(dirname "$0")"

tests='^(TestWideBits|TestDense|TestDenseRows|TestConvPositions|TestElementwise|TestCountNonZeros|TestAllFinite'
tests+='|TestBiasGrad|TestNorm|TestOptimizerImplementations|TestWinogradTransforms'
tests+='|TestUse|TestVariable)$/^(avx|peak|tile|windowSums|conv|dense)' # what has no parts is run whole
arguments=(-test.short -test.timeout=0 -test.v "-test.run=$tests")
[ $# -eq 0 ] || arguments=(-test.timeout=0 "$@")

work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
work=$(realpath "$work")
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT

isolinux=/usr/lib/ISOLINUX/isolinux.bin
if ! command -v bochs >/dev/null || ! command -v xorriso >/dev/null || ! command -v cpio >/dev/null || [ ! -e "$isolinux" ]; then
    apt-get update -q
    apt-get install -y -q --no-install-recommends bochs bochsbios vgabios isolinux syslinux-common xorriso cpio
fi
kernel=${VMLINUZ:-}
[ -n "$kernel" ] || kernel=$(find "$work" -name 'vmlinuz-*' -print -quit)
if [ -z "$kernel" ]; then
    (
        cd "$work"
        apt-get update -q
        image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
        apt-get download -q "$image"
        dpkg -x linux-image-*.deb image
        rm linux-image-*.deb
    )
    kernel=$(find "$work" -name 'vmlinuz-*' -print -quit)
fi

rm -rf "$work/root" "$work/disc" "$work/serial.txt"
mkdir -p "$work/root/proc" "$work/root/dev" "$work/disc/isolinux"
export CGO_ENABLED=0 GOOS=linux GOARCH=amd64
go build -ldflags '-s -w' -o "$work/root/init" ./init
go test -c -ldflags '-s -w' -o "$work/root/test" ../..
printf '%s\n' "${arguments[@]}" >"$work/root/arguments"
(cd "$work/root" && printf '%s\n' init test arguments proc dev | cpio -o -H newc -R 0:0 --quiet) >"$work/disc/initrd"
cp "$kernel" "$work/disc/vmlinuz"
cp "$isolinux" /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/disc/isolinux"
# Bochs 2.7 gives the size of XSAVEC's area wrongly, on which Linux takes AVX away: do without XSAVEC.
cat >"$work/disc/isolinux/isolinux.cfg" <<'CFG'
default test
label test
    kernel /vmlinuz
    append initrd=/initrd console=ttyS0,115200 quiet noxsaves clearcpuid=321 mitigations=off tsc=reliable random.trust_cpu=on cryptomgr.notests i8042.noaux panic=-1
CFG
xorriso -as mkisofs -quiet -o "$work/disc.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/disc" 2>/dev/null

# With few instructions to a second of the emulated clock, waiting costs few.
cat >"$work/bochsrc" <<CFG
plugin_ctrl: speaker=false, parallel=false
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_skylake_x, ips=15000000, reset_on_triple_fault=0
memory: guest=512, host=512
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial.txt
clock: sync=none
log: $work/bochs.log
panic: action=fatal
CFG
# Switching off ends Bochs by what it calls a panic. Debian's has a debugger, which is told to continue.
echo c | timeout "${LIMIT:-1800}" bochs -q -f "$work/bochsrc" >"$work/bochs.txt" 2>&1 || true
tr -d '\r' <"$work/serial.txt" | grep -v '^\[' || true
grep -q '^status: 0' "$work/serial.txt" || { echo "the test failed, or did not end: see above"; exit 1; }
