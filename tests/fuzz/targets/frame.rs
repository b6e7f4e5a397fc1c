//! Frames of the control socket.

use picovrrp::control::{MAX_FRAME, Reply, Request, decode, encode, frame_len, read_frame};

use super::input::Input;

/// Takes `data` for what comes over the control socket: frames lie within it, and a value that is read
/// can be written in no more room and is read as the same.
pub(crate) fn frame(data: &[u8]) {
    let (mut from, mut buf, mut seen) = (Input::pieces(data), [0; MAX_FRAME], 0);
    while let Ok(Some(frame)) = read_frame(&mut from, &mut buf) {
        assert_eq!(frame, &data[seen..seen + frame.len()]);
        assert_eq!(frame_len(frame), Some(Ok(frame.len())));
        seen += frame.len();
        let mut again = [0; MAX_FRAME];
        if let Ok(request) = decode::<Request>(frame) {
            let written = encode(&mut again, &request).expect("it came in a frame");
            assert!(written.len() <= frame.len());
            assert_eq!(decode::<Request>(written), Ok(request));
        }
        if let Ok(reply) = decode::<Reply<'_>>(frame) {
            let written = encode(&mut again, &reply).expect("it came in a frame");
            assert!(written.len() <= frame.len());
            assert_eq!(decode::<Reply<'_>>(written), Ok(reply));
        }
    }
    assert!(seen <= data.len());
}
