//! The kernel's filter of a VRRP socket: only messages of our VRIDs wake us.
//!
//! A classic BPF program (SO_ATTACH_FILTER) that tests the VRID, the second byte of the message,
//! against a bitmap of 256 bits in a fixed number of steps, however many virtual routers there are.
//! On a raw IPv4 socket the program sees the packet from the IP header on, whose length it
//! honours; on a raw IPv6 socket it sees the message alone. A message too short to have a VRID
//! passes, so that the receiver can count it. [`proc_events`](super::proc_events) brings its own program.

use std::io;
use std::os::fd::BorrowedFd;

use libc::{SO_ATTACH_FILTER, SO_DETACH_FILTER, SOL_SOCKET, sock_filter, sock_fprog};

use super::sockopt;
use crate::config::model::Family;

// Instructions: the kernel's documentation, networking/filter.rst; names as in linux/bpf_common.h.
const LD_LEN: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_LEN;
const LD_IMM: u32 = libc::BPF_LD | libc::BPF_IMM;
const LD_MEM: u32 = libc::BPF_LD | libc::BPF_MEM;
pub(super) const LDW_ABS: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
pub(super) const LDH_ABS: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
pub(super) const LDB_ABS: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LDB_IND: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_IND;
const LDXB_MSH: u32 = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
const ST: u32 = libc::BPF_ST;
pub(super) const TAX: u32 = libc::BPF_MISC | libc::BPF_TAX;
const SUB_X: u32 = libc::BPF_ALU | libc::BPF_SUB | libc::BPF_X;
const RSH_X: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_X;
const AND_K: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const NEG: u32 = libc::BPF_ALU | libc::BPF_NEG;
pub(super) const JA: u32 = libc::BPF_JMP | libc::BPF_JA;
pub(super) const JEQ_K: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
pub(super) const JEQ_X: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X;
const JGE_K: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
pub(super) const JSET_K: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
pub(super) const RET_K: u32 = libc::BPF_RET | libc::BPF_K;
const RET_A: u32 = libc::BPF_RET | libc::BPF_A;

/// Passes the whole packet.
pub(super) const ALL: u32 = u32::MAX;
/// The VRID's place in a VRRP message (RFC 9568 §5.1).
const VRID: u32 = 1;

/// A bitmap of VRIDs: VRID n is bit n % 32 of word n / 32.
pub type VridBitmap = [u32; 8];

/// A program; the unused rest is zero.
struct Program {
    code: [sock_filter; 48],
    len: usize,
}

/// An instruction.
pub(super) const fn op(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

impl Program {
    const fn new() -> Program {
        Program { code: [op(0, 0, 0, 0); 48], len: 0 }
    }

    fn code(&self) -> &[sock_filter] {
        self.code.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, code: u32, jt: u8, jf: u8, k: u32) {
        self.code[self.len] = op(code, jt, jf, k);
        self.len += 1;
    }
}

/// Passes the messages whose VRID is in `bitmap`.
fn by_vrid(family: Family, bitmap: &VridBitmap) -> Program {
    let mut p = Program::new();
    // A jump's offsets count from the instruction behind it. Too short: on to the accepting end.
    match family {
        Family::V4 => {
            p.push(LDXB_MSH, 0, 0, 0); // X = 4 * IHL
            p.push(LD_LEN, 0, 0, 0);
            p.push(SUB_X, 0, 0, 0);
            p.push(JGE_K, 1, 0, VRID + 1);
            p.push(RET_K, 0, 0, ALL);
            p.push(LDB_IND, 0, 0, VRID);
        }
        Family::V6 => {
            p.push(LD_LEN, 0, 0, 0);
            p.push(JGE_K, 1, 0, VRID + 1);
            p.push(RET_K, 0, 0, ALL);
            p.push(LDB_ABS, 0, 0, VRID);
        }
    }
    p.push(ST, 0, 0, 0); // M[0] = VRID
    p.push(AND_K, 0, 0, 31);
    p.push(TAX, 0, 0, 0); // X = the bit in its word
    p.push(LD_MEM, 0, 0, 0);
    // Bits 7, 6 and 5 choose the word: a tree of three tests, each node before its two subtrees.
    // A leaf is two instructions, a node of two leaves five, a node of two such eleven.
    p.push(JSET_K, 11, 0, 0x80);
    for high in [0, 4] {
        p.push(JSET_K, 5, 0, 0x40);
        for middle in [0, 2] {
            p.push(JSET_K, 2, 0, 0x20);
            for low in [0, 1] {
                let word = high + middle + low;
                p.push(LD_IMM, 0, 0, bitmap[word]);
                // To the test behind the tree: what is left of the tree behind this leaf.
                let left = 2 * (7 - word) + LEFT_NODES[word];
                p.push(JA, 0, 0, left as u32);
            }
        }
    }
    p.push(RSH_X, 0, 0, 0);
    p.push(AND_K, 0, 0, 1);
    p.push(NEG, 0, 0, 0); // 0: drop; all ones: pass whole
    p.push(RET_A, 0, 0, 0);
    p
}

/// How many inner nodes of the tree stand behind each leaf.
const LEFT_NODES: [usize; 8] = [4, 4, 3, 3, 1, 1, 0, 0];

/// Makes `program` the filter of `fd`.
pub(super) fn attach(fd: BorrowedFd<'_>, program: &[sock_filter]) -> io::Result<()> {
    let value = sock_fprog { len: program.len() as _, filter: program.as_ptr().cast_mut() };
    // SAFETY: the pointer is to `len` instructions that live through the call; the kernel only reads and copies them.
    unsafe { sockopt::set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &value) }
}

/// Lets only the messages of these VRIDs through to `fd`, a raw socket of protocol 112.
pub fn pass_vrids(fd: BorrowedFd<'_>, family: Family, bitmap: &VridBitmap) -> io::Result<()> {
    attach(fd, by_vrid(family, bitmap).code())
}

/// Lets nothing through.
pub fn pass_nothing(fd: BorrowedFd<'_>) -> io::Result<()> {
    attach(fd, &[op(RET_K, 0, 0, 0)])
}

/// Lets everything through.
pub fn pass_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    match sockopt::set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0) {
        // There was no filter.
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        r => r,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn run(p: &Program, packet: &[u8]) -> u32 {
        machine(p.code(), packet)
    }

    /// A classic BPF machine for the instructions used; a load outside the packet drops it.
    pub(in crate::sys) fn machine(program: &[sock_filter], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut m, mut pc) = (0u32, 0u32, 0u32, 0usize);
        loop {
            let i = *program.get(pc).expect("ran off the end");
            pc += 1;
            match i.code as u32 {
                LD_LEN => a = packet.len() as u32,
                LD_IMM => a = i.k,
                LD_MEM => a = m,
                ST => m = a,
                LDW_ABS => match packet.get(i.k as usize..).and_then(|p| p.first_chunk()) {
                    Some(b) => a = u32::from_be_bytes(*b),
                    None => return 0,
                },
                LDH_ABS => match packet.get(i.k as usize..).and_then(|p| p.first_chunk()) {
                    Some(b) => a = u16::from_be_bytes(*b).into(),
                    None => return 0,
                },
                LDB_ABS | LDB_IND => {
                    let at = i.k + if i.code as u32 == LDB_IND { x } else { 0 };
                    match packet.get(at as usize) {
                        Some(b) => a = *b as u32,
                        None => return 0,
                    }
                }
                LDXB_MSH => match packet.get(i.k as usize) {
                    Some(b) => x = 4 * (*b as u32 & 15),
                    None => return 0,
                },
                TAX => x = a,
                SUB_X => a = a.wrapping_sub(x),
                RSH_X => a >>= x,
                AND_K => a &= i.k,
                NEG => a = a.wrapping_neg(),
                JA => pc += i.k as usize,
                JEQ_K => pc += if a == i.k { i.jt } else { i.jf } as usize,
                JEQ_X => pc += if a == x { i.jt } else { i.jf } as usize,
                JGE_K => pc += if a >= i.k { i.jt } else { i.jf } as usize,
                JSET_K => pc += if a & i.k != 0 { i.jt } else { i.jf } as usize,
                RET_K => return i.k,
                RET_A => return a,
                c => panic!("instruction {c}"),
            }
        }
    }

    /// Input: each VRID alone in the bitmap, each VRID on the wire, IPv4 without and with options,
    /// IPv6. Output: exactly the one that is in the bitmap passes, whole.
    #[test]
    fn each_vrid_passes_alone() {
        for ours in 0..=255usize {
            let mut bitmap = [0u32; 8];
            bitmap[ours / 32] |= 1 << (ours % 32);
            let (v4, v6) = (by_vrid(Family::V4, &bitmap), by_vrid(Family::V6, &bitmap));
            for vrid in 0..=255u8 {
                let want = if vrid as usize == ours { ALL } else { 0 };
                for ihl in [5u8, 6, 15] {
                    let mut packet = vec![0xffu8; ihl as usize * 4 + 8];
                    packet[0] = 0x40 | ihl;
                    packet[ihl as usize * 4 + 1] = vrid;
                    assert_eq!(run(&v4, &packet), want, "VRID {vrid}, ours {ours}, IHL {ihl}");
                }
                assert_eq!(run(&v6, &[0x31, vrid, 100, 1]), want, "IPv6 VRID {vrid}, ours {ours}");
            }
        }
    }

    /// A message of 0 or 1 bytes has no VRID: it passes, to be counted.
    #[test]
    fn too_short_passes() {
        let (v4, v6) = (by_vrid(Family::V4, &[0; 8]), by_vrid(Family::V6, &[0; 8]));
        let mut packet = [0u8; 21];
        packet[0] = 0x45;
        assert_eq!(run(&v4, &packet), ALL);
        assert_eq!(run(&v4, &packet[..20]), ALL);
        assert_eq!(run(&v6, &[0x31]), ALL);
        assert_eq!(run(&v6, &[]), ALL);
    }

    #[test]
    fn all_bits_pass_all() {
        let v6 = by_vrid(Family::V6, &[u32::MAX; 8]);
        for vrid in 0..=255u8 {
            assert_eq!(run(&v6, &[0x31, vrid]), ALL);
        }
    }
}
