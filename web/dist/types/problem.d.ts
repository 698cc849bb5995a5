/** Errors and replies as one tab tells them to another. Pure. */
/** What is left between two tabs of an error, or of a problem as the hub sent it. @param {any} error */
export declare const problemOf: ({ code, message, detail, hint, status, refused }: any) => {
    code: any;
    detail: any;
    hint: any;
    status: any;
    refused: any;
};
/** A publish that waits longer in its own tab than in this one is to be sent again. @param {any} error @param {number} deadline */
export declare function replyOf(error: any, deadline: number): {
    code: any;
    detail: any;
    hint: any;
    status: any;
    refused: any;
};
