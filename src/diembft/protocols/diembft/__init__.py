"""DiemBFT, the protocol of this project, behind the interface of protocols under test."""
